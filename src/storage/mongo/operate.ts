/** What operators do to jobs. Each reads back what its own write did: a batch answers no item by itself. */
import * as Effect from "effect/Effect"
import type { AnyBulkWriteOperation } from "mongodb"
import type { Service, State } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { bulk, mark, run } from "./db.js"
import type { JobDocument } from "./document.js"
import { dueAt } from "./time.js"

const waiting: Array<State> = ["pending", "scheduled"]
const finished: Array<State> = ["completed", "failed", "cancelled"]

const among = (ids: ReadonlyArray<string>) => ({ $in: Array.from(new Set(ids)) })

const statesOf = (db: Db, operation: string, ids: ReadonlyArray<string>) =>
  Effect.map(
    run(operation, () =>
      db.jobs
        .find({ _id: among(ids) })
        .project<Pick<JobDocument, "_id" | "state" | "changeId">>({ state: 1, changeId: 1 })
        .toArray()
    ),
    (found) => new Map(found.map((one) => [one._id, one]))
  )

export const cancel =
  (db: Db): Service["cancel"] =>
  (ids) =>
    ids.length === 0
      ? Effect.succeed([])
      : Effect.gen(function* () {
          const now = yield* db.now
          const ifWaiting = (yes: unknown, no: unknown) => ({ $cond: [{ $in: ["$state", waiting] }, yes, no] })
          yield* run("cancel", () =>
            db.jobs.updateMany({ _id: among(ids), state: { $in: [...waiting, "running"] } }, [
              {
                $set: {
                  state: ifWaiting("cancelled", "$state"),
                  active: ifWaiting(false, true),
                  finishedAt: ifWaiting(now, null),
                  token: ifWaiting({ $add: ["$token", 1] }, "$token"),
                  cancelRequested: ifWaiting("$cancelRequested", true)
                }
              }
            ])
          )
          const rows = yield* statesOf(db, "cancel", ids)
          return ids.map((id) => {
            const state = rows.get(id)?.state
            if (state === undefined) return "notFound"
            return state === "cancelled" ? "cancelled" : state === "running" ? "requested" : "finished"
          })
        })

export const rerun =
  (db: Db): Service["rerun"] =>
  (ids) =>
    ids.length === 0
      ? Effect.succeed([])
      : Effect.gen(function* () {
          const now = yield* db.now
          const changeId = yield* mark
          const change = {
            state: "pending",
            active: true,
            runAt: now,
            generation: { $add: ["$generation", 1] },
            token: { $add: ["$token", 1] },
            attempt: 0,
            crashes: 0,
            owner: null,
            leaseUntil: null,
            cancelRequested: false,
            result: null,
            failure: null,
            progress: null,
            progressMessage: null,
            startedAt: null,
            finishedAt: null,
            changeId
          }
          const distinct = Array.from(new Set(ids))
          const { refused } = yield* bulk(
            "rerun",
            db.jobs,
            distinct.map(
              (id): AnyBulkWriteOperation<JobDocument> => ({
                updateOne: { filter: { _id: id, state: { $in: finished } }, update: [{ $set: change }] }
              })
            )
          )
          const duplicates = new Set(distinct.filter((_, at) => refused.has(at)))
          const rows = yield* statesOf(db, "rerun", ids)
          const done = new Set<string>()
          return ids.map((id) => {
            const row = rows.get(id)
            if (duplicates.has(id)) return "duplicate"
            if (row === undefined) return "notFound"
            if (done.has(id) || row.changeId?.equals(changeId) !== true) return "unfinished"
            done.add(id)
            return "rerun"
          })
        })

export const reschedule =
  (db: Db): Service["reschedule"] =>
  (ids, due) =>
    ids.length === 0
      ? Effect.succeed([])
      : Effect.gen(function* () {
          const change = { ...dueAt(yield* db.now, due), changeId: yield* mark }
          yield* run("reschedule", () =>
            db.jobs.updateMany({ _id: among(ids), state: { $in: waiting } }, [{ $set: change }])
          )
          const rows = yield* statesOf(db, "reschedule", ids)
          return ids.map((id) => {
            const row = rows.get(id)
            if (row === undefined) return "notFound"
            if (row.changeId?.equals(change.changeId) === true) return "rescheduled"
            return finished.includes(row.state) ? "finished" : "running"
          })
        })

export const remove =
  (db: Db): Service["remove"] =>
  (ids) =>
    ids.length === 0
      ? Effect.succeed([])
      : Effect.gen(function* () {
          const before = yield* statesOf(db, "remove", ids)
          yield* run("remove", () => db.jobs.deleteMany({ _id: among(ids), state: { $ne: "running" } }))
          const after = yield* statesOf(db, "remove", Array.from(before.keys()))
          const gone = new Set<string>()
          return ids.map((id) => {
            if (!before.has(id) || gone.has(id)) return "notFound"
            if (after.has(id)) return "running"
            gone.add(id)
            return "removed"
          })
        })

/** Claims read the paused queues before they look for jobs, so none that begins after this takes one. */
export const pauseQueue =
  (db: Db): Service["pauseQueue"] =>
  (queue) =>
    Effect.asVoid(
      run("pauseQueue", () => db.queues.updateOne({ _id: queue }, { $set: { paused: true } }, { upsert: true }))
    )

export const resumeQueue =
  (db: Db): Service["resumeQueue"] =>
  (queue) =>
    Effect.asVoid(run("resumeQueue", () => db.queues.deleteOne({ _id: queue })))

export const pausedQueues = (db: Db): Service["pausedQueues"] =>
  Effect.map(
    run("pausedQueues", () => db.queues.find({ paused: true }).toArray()),
    (queues) => queues.map((queue) => queue._id)
  )
