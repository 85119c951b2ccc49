import * as Effect from "effect/Effect"
import type { AnyBulkWriteOperation, Document, ObjectId } from "mongodb"
import { leadsTo } from "../../internal/transitions.js"
import type { Outcome, Service, State } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { bulk, mark, run } from "./db.js"
import type { JobDocument } from "./document.js"
import { dueAt, type Now } from "./time.js"

const idle = { owner: null, leaseUntil: null } as const

const finished = (state: State, now: Now) => ({ ...idle, state, active: false, finishedAt: now })

/** Back to waiting; ended instead when the job's cancellation was requested. */
const back = (outcome: Outcome, now: Now): Document => {
  const due =
    outcome.to === "retry" || outcome.to === "snooze" ? dueAt(now, { delay: outcome.delay }) : { state: "pending" }
  const unlessCancelled = (cancelled: unknown, otherwise: unknown) => ({
    $cond: ["$cancelRequested", cancelled, otherwise]
  })
  return {
    ...idle,
    ...(outcome.to === "retry"
      ? { failure: { $literal: outcome.failure } }
      : { attempt: { $subtract: ["$attempt", 1] } }),
    ...("runAt" in due ? { runAt: unlessCancelled("$runAt", due.runAt) } : {}),
    state: unlessCancelled("cancelled", due.state),
    active: unlessCancelled(false, true),
    finishedAt: unlessCancelled(now, null)
  }
}

const change = (outcome: Outcome, now: Now): Document => {
  switch (outcome.to) {
    case "complete":
      return { ...finished("completed", now), result: { $literal: outcome.result }, failure: null }
    case "fail":
      return { ...finished("failed", now), failure: { $literal: outcome.failure } }
    case "cancel":
      return finished("cancelled", now)
    default:
      return back(outcome, now)
  }
}

const update = (outcome: Outcome, now: Now, changeId: ObjectId): AnyBulkWriteOperation<JobDocument> => ({
  updateOne: {
    filter: { _id: outcome.id, token: outcome.token, state: "running" },
    update: [{ $set: { ...change(outcome, now), changeId } }]
  }
})

export const settle =
  (db: Db): Service["settle"] =>
  (outcomes) =>
    outcomes.length === 0
      ? Effect.succeed([])
      : Effect.gen(function* () {
          const now = yield* db.now
          const changeId = yield* mark
          // a batch is unordered: of several outcomes for one hold only the first is sent
          const keyOf = ({ id, token }: Outcome) => `${token} ${id}`
          const first = new Map<string, Outcome>()
          for (const outcome of outcomes) if (!first.has(keyOf(outcome))) first.set(keyOf(outcome), outcome)
          const { matched } = yield* bulk(
            "settle",
            db.jobs,
            Array.from(first.values(), (outcome) => update(outcome, now, changeId))
          )
          if (matched === outcomes.length) return outcomes.map(() => true)
          const found = yield* run("settle", () =>
            db.jobs
              .find({ _id: { $in: outcomes.map((outcome) => outcome.id) } })
              .project<Pick<JobDocument, "_id" | "token" | "state" | "changeId">>({ token: 1, state: 1, changeId: 1 })
              .toArray()
          )
          const rows = new Map(found.map((one) => [one._id, one]))
          return outcomes.map((outcome) => {
            const row = rows.get(outcome.id)
            if (row === undefined) return false
            const sent = first.get(keyOf(outcome)) === outcome && row.token === outcome.token
            if (sent && row.changeId?.equals(changeId) === true) return true
            // the same outcome again, after a lost reply; a token of 0 was never given to anyone
            return row.token === outcome.token && row.token > 0 && leadsTo(outcome.to, row.state)
          })
        })
