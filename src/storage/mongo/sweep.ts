import * as Effect from "effect/Effect"
import type { Document } from "mongodb"
import * as Retention from "../../internal/retention.js"
import type { StorageError } from "../../JobError.js"
import type { Service, SweepRequest } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { run } from "./db.js"
import { oldest } from "./oldest.js"
import { passed, whole } from "./time.js"

const removeOld =
  (db: Db, operation: string) =>
  ({ age, state }: Retention.Old, limit: number): Effect.Effect<number, StorageError> =>
    Effect.gen(function* () {
      const now = yield* db.now
      const filter = { active: false, state }
      const { ids } = yield* oldest(db, operation, { filter, field: "finishedAt", age: whole(age), now, limit })
      if (ids.length === 0) return 0
      const old = { $expr: { $lte: [{ $add: ["$finishedAt", whole(age)] }, now] } }
      const { deletedCount } = yield* run(operation, () => db.jobs.deleteMany({ _id: { $in: ids }, ...filter, ...old }))
      return deletedCount
    })

export const prune =
  (db: Db): Service["prune"] =>
  (states, age, limit) =>
    Retention.removeAll(
      states.map((state) => ({ state, age })),
      limit,
      removeOld(db, "prune")
    )

/** Expired leases: first those that end the job, then the others go back to pending. */
const rescue = (db: Db, request: SweepRequest) =>
  Effect.gen(function* () {
    const now = yield* db.now
    const { ids } = yield* oldest(db, "sweep", {
      filter: { state: "running" },
      field: "leaseUntil",
      now,
      limit: request.limit
    })
    if (ids.length === 0) return { rescued: 0, ended: 0 }
    const expired = { _id: { $in: ids }, state: "running", ...passed("leaseUntil", now) } as const
    const dies = {
      $or: [
        { cancelRequested: true },
        { crashes: { $gte: request.crashLimit - 1 } },
        { $expr: { $gte: ["$attempt", "$maxAttempts"] } }
      ]
    }
    const lost: Document = {
      crashes: { $add: ["$crashes", 1] },
      token: { $add: ["$token", 1] },
      owner: null,
      leaseUntil: null
    }
    const update = (filter: Document, change: Document) =>
      run("sweep", () => db.jobs.updateMany({ $and: [expired, filter] }, [{ $set: { ...lost, ...change } }]))
    const ended = yield* update(dies, {
      state: { $cond: ["$cancelRequested", "cancelled", "failed"] },
      failure: { $cond: ["$cancelRequested", "$failure", { $literal: request.crashFailure }] },
      active: false,
      finishedAt: now
    })
    const rescued = yield* update({ $nor: [dies] }, { state: "pending" })
    return { rescued: rescued.modifiedCount, ended: ended.modifiedCount }
  })

export const sweep =
  (db: Db): Service["sweep"] =>
  (request) =>
    Effect.gen(function* () {
      const leases = yield* rescue(db, request)
      const work = Retention.due(request.retention)
      const removed = yield* Retention.removeAll(work, request.limit, removeOld(db, "sweep"))
      return { ...leases, removed }
    })
