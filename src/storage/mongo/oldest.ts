/** The documents whose date has passed by the storage's clock, oldest first. */
import * as Effect from "effect/Effect"
import type { Filter } from "mongodb"
import type { StorageError } from "../../JobError.js"
import type { Db } from "./db.js"
import { run } from "./db.js"
import type { JobDocument } from "./document.js"
import type { Now } from "./time.js"

interface Waiting {
  readonly _id: string
  /** Milliseconds until the date; not positive when it has passed. */
  readonly wait: number
}

export interface Oldest {
  readonly ids: ReadonlyArray<string>
  /** Milliseconds until the first that is not among them has passed; undefined when there is none. */
  readonly nextIn: number | undefined
}

/**
 * Reads in the order of an index, so its cost is bounded by `limit` however the server plans conditions on `$$NOW`; and
 * looks at one document only while nothing has passed.
 */
export const oldest = (
  db: Db,
  operation: string,
  options: {
    readonly filter: Filter<JobDocument>
    readonly field: "runAt" | "leaseUntil" | "finishedAt"
    /** Milliseconds beyond the date. */
    readonly age?: number
    readonly now: Now
    readonly limit: number
  }
): Effect.Effect<Oldest, StorageError> => {
  const { age = 0, field, filter, limit, now } = options
  const read = (count: number) =>
    run(operation, () =>
      db.jobs
        .find(filter)
        .project<Waiting>({ wait: { $subtract: [{ $add: [`$${field}`, age] }, now] } })
        .sort({ [field]: 1 })
        .limit(count)
        .toArray()
    )
  return Effect.gen(function* () {
    const [first] = yield* read(1)
    if (first === undefined) return { ids: [], nextIn: undefined }
    if (first.wait > 0 || limit <= 0) return { ids: [], nextIn: Math.max(0, first.wait) }
    const found = yield* read(limit + 1)
    const ids = found.filter((one) => one.wait <= 0).slice(0, limit)
    const next = found[ids.length]
    return { ids: ids.map((one) => one._id), nextIn: next === undefined ? undefined : Math.max(0, next.wait) }
  })
}
