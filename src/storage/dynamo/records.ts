/**
 * Reading and changing jobs. Every change is one conditional write of the base item: read it, work out what it becomes,
 * write that if it is still what was read, else look again. The two index keys are part of the same write.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { StorageError } from "../../JobError.js"
import type { JobRow } from "../../JobStorage.js"
import type * as Rows from "../../Rows.js"
import { absent, batchGet, put, remove, replace, stamp, unchanged } from "./client.js"
import { type Db, inOrder } from "./db.js"
import { decodeJob, encodeJob, type Stored } from "./item.js"
import { jobKey } from "./keys.js"
import { isFinished } from "../../internal/transitions.js"
import { release } from "./uniqueKey.js"

/** The items by id, drafts too. */
export const readAll = (db: Db, ids: ReadonlyArray<string>): Effect.Effect<ReadonlyMap<string, Stored>, StorageError> =>
  Effect.map(
    batchGet(
      db,
      Array.from(new Set(ids), (id) => jobKey(id))
    ),
    (items) => {
      const found = new Map<string, Stored>()
      for (const item of items) {
        const job = decodeJob(item)
        if (job !== undefined) found.set(job.row.id, job)
      }
      return found
    }
  )

export const read = (db: Db, id: string): Effect.Effect<Stored | undefined, StorageError> =>
  Effect.map(readAll(db, [id]), (found) => found.get(id))

/** Writes a job that must not be there yet; the one that is there otherwise, which may be this very write. */
export const create = (
  db: Db,
  row: JobRow,
  how: { readonly draft: boolean; readonly schedule: string | null }
): Effect.Effect<{ readonly created: boolean; readonly job: Stored | undefined }, StorageError> =>
  Effect.gen(function* () {
    const mine = { row, ...how, stamp: yield* stamp }
    const item = encodeJob(mine, db.shards)
    if (yield* put(db, item, absent)) return { created: true, job: { ...mine, item } }
    const job = yield* read(db, row.id)
    return { created: job?.stamp === mine.stamp, job }
  })

/** Puts `next` in the place of what was seen. False when it has changed meanwhile. */
export const write = (
  db: Db,
  seen: Stored,
  next: Omit<Stored, "item" | "stamp">
): Effect.Effect<boolean, StorageError> =>
  Effect.gen(function* () {
    const mine = yield* stamp
    const item = encodeJob({ ...next, stamp: mine }, db.shards)
    if (yield* replace(db, jobKey(seen.row.id), seen.item, item, unchanged(seen.stamp))) return true
    // a reply may have been lost and the request sent twice: then the stamp that is in the way is this one
    return (yield* read(db, seen.row.id))?.stamp === mine
  })

/** Deletes what was seen. False when it has changed meanwhile; gone is gone, whoever did it. */
export const erase = (db: Db, seen: Stored): Effect.Effect<boolean, StorageError> =>
  Effect.flatMap(remove(db, jobKey(seen.row.id), unchanged(seen.stamp)), (done) =>
    done ? Effect.succeed(true) : Effect.map(read(db, seen.row.id), (now) => now === undefined)
  )

const holdsKey = (row: JobRow): boolean => row.uniqueKey !== null && !isFinished(row.state)

/** Carries out a step on what was seen; false when it has changed meanwhile. */
export const commit = (db: Db, seen: Stored, next: JobRow | null): Effect.Effect<boolean, StorageError> =>
  Effect.gen(function* () {
    const { row } = seen
    const done =
      next === null ? yield* erase(db, seen) : yield* write(db, seen, { row: next, draft: false, schedule: null })
    if (!done) return false
    // a crash before the release leaves the key with a job that is finished or gone: the next taker finds out
    if (holdsKey(row) && (next === null || isFinished(next.state))) yield* release(db, row)
    if (next !== null && !isFinished(next.state) && next.state !== "running") db.tell("jobs")
    return true
  })

/**
 * One step for each item, in their order where they name the same job; a request that fails fails its item only. Drafts
 * are no jobs yet.
 */
export const changeEach = <I, A>(
  db: Db,
  items: ReadonlyArray<I>,
  idOf: (item: I) => string,
  decide: (row: JobRow | undefined, item: I, now: number) => Rows.Step<A>
): Effect.Effect<ReadonlyArray<Either.Either<A, StorageError>>, StorageError> =>
  Effect.gen(function* () {
    const found = yield* readAll(db, items.map(idOf))
    const outdated = new Set<string>()
    return yield* inOrder(db, items, idOf, (item) =>
      Effect.either(
        Effect.gen(function* () {
          const id = idOf(item)
          for (;;) {
            const seen = outdated.has(id) ? yield* read(db, id) : found.get(id)
            const visible = seen?.draft === true ? undefined : seen
            const { answer, next } = decide(visible?.row, item, yield* Clock.currentTimeMillis)
            if (visible === undefined || next === undefined) return answer
            outdated.add(id)
            if (yield* commit(db, visible, next)) return answer
          }
        })
      )
    )
  })

/** The same, failing with the first failure once every item has had its turn. */
export const change = <I, A>(
  db: Db,
  items: ReadonlyArray<I>,
  idOf: (item: I) => string,
  decide: (row: JobRow | undefined, item: I, now: number) => Rows.Step<A>
): Effect.Effect<ReadonlyArray<A>, StorageError> => Effect.flatMap(changeEach(db, items, idOf, decide), Either.all)
