import * as Effect from "effect/Effect"
import type { Filter } from "mongodb"
import type { Count, Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { run } from "./db.js"
import { type JobDocument, rowOf } from "./document.js"

export const get =
  (db: Db): Service["get"] =>
  (ids) =>
    ids.length === 0
      ? Effect.succeed([])
      : Effect.map(
          run("get", () => db.jobs.find({ _id: { $in: Array.from(new Set(ids)) } }).toArray()),
          (found) => found.map(rowOf)
        )

export const list =
  (db: Db): Service["list"] =>
  ({ after, filter, limit }) => {
    if (limit <= 0) return Effect.succeed([])
    const { from, names, queues, states, tag, until } = filter
    const enqueuedAt = {
      ...(from === undefined ? {} : { $gte: new Date(from) }),
      ...(until === undefined ? {} : { $lt: new Date(until) })
    }
    const selected: Filter<JobDocument> = {
      ...(after === undefined ? {} : { _id: { $gt: after } }),
      ...(names === undefined ? {} : { name: { $in: [...names] } }),
      ...(queues === undefined ? {} : { queue: { $in: [...queues] } }),
      ...(states === undefined ? {} : { state: { $in: [...states] } }),
      // a member of the list, as text: an operator in it would be compared, not run
      ...(tag === undefined ? {} : { tags: { $in: [tag] } }),
      ...(from === undefined && until === undefined ? {} : { enqueuedAt })
    }
    return Effect.map(
      run("list", () => db.jobs.find(selected).sort({ _id: 1 }).limit(limit).toArray()),
      (found) => found.map(rowOf)
    )
  }

/** Sorted first, so that the index on queue and state answers without a look at the documents. */
export const counts = (db: Db): Service["counts"] =>
  Effect.map(
    run("counts", () =>
      db.jobs
        .aggregate<{ readonly _id: Pick<Count, "queue" | "state">; readonly count: number }>([
          { $sort: { queue: 1, state: 1 } },
          { $group: { _id: { queue: "$queue", state: "$state" }, count: { $sum: 1 } } }
        ])
        .toArray()
    ),
    (found) => found.map(({ _id: { queue, state }, count }) => ({ queue, state, count }))
  )
