import * as Effect from "effect/Effect"
import type { IndexDescription } from "mongodb"
import type { StorageError } from "../../JobError.js"
import type { Db } from "./db.js"
import { run } from "./db.js"

/** Each covers one state only, so that finished rows cost waiting ones nothing. */
export const jobIndexes: Array<IndexDescription> = [
  {
    name: "ready",
    key: { name: 1, priority: -1, runAt: 1, _id: 1, queue: 1 },
    partialFilterExpression: { state: "pending" }
  },
  { name: "scheduled", key: { runAt: 1 }, partialFilterExpression: { state: "scheduled" } },
  { name: "leases", key: { leaseUntil: 1 }, partialFilterExpression: { state: "running" } },
  { name: "retention", key: { state: 1, finishedAt: 1 }, partialFilterExpression: { active: false } },
  {
    name: "uniqueKeys",
    key: { name: 1, uniqueKey: 1 },
    unique: true,
    partialFilterExpression: { active: true, uniqueKey: { $exists: true } }
  },
  { name: "counts", key: { queue: 1, state: 1 } }
]

export const scheduleIndexes: Array<IndexDescription> = [{ name: "cursor", key: { enabled: 1, next: 1 } }]

/** Harmless when they are there. */
export const create = (db: Db): Effect.Effect<void, StorageError> =>
  Effect.asVoid(
    Effect.all([
      run("open", () => db.jobs.createIndexes(jobIndexes)),
      run("open", () => db.schedules.createIndexes(scheduleIndexes))
    ])
  )
