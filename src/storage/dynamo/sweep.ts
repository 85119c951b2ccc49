import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import type { StorageError } from "../../JobError.js"
import type { JobRow, Service, SweepRequest } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { resolve } from "./draft.js"
import { idOf } from "./keys.js"
import { change, readAll } from "./records.js"
import * as Retention from "../../internal/retention.js"
import { expired } from "../../internal/transitions.js"
import { byInstant, until } from "./work.js"

/** A hold that looks expired: which one, and since when it has been seen unchanged, on this process's monotonic clock. */
interface Sighting {
  readonly hold: string
  readonly since: bigint
}

export type Sightings = Ref.Ref<ReadonlyMap<string, Sighting>>

export const sightings: Effect.Effect<Sightings> = Ref.make<ReadonlyMap<string, Sighting>>(new Map())

const holdOf = (row: JobRow): string => `${row.token}/${row.leaseUntil}`

/**
 * There is no clock that all processes share. `leaseUntil` is by the holder's; one that has passed by ours may still be
 * good if the two differ. So a hold ends only when it is over by our clock and has then been seen unchanged, neither
 * renewed nor settled, for `clockSkew` more.
 */
const rescue = (db: Db, seen: Sightings, request: SweepRequest) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const monotonic = yield* Clock.currentTimeNanos
    const before = yield* Ref.get(seen)
    const after = new Map<string, Sighting>()
    const sequence = byInstant(db, "running", request.limit)
    const swept = { rescued: 0, ended: 0 }
    const isOver = (row: JobRow): boolean => {
      if (row.state !== "running" || (row.leaseUntil ?? 0) > now) return false
      const known = before.get(row.id)
      const since = known !== undefined && known.hold === holdOf(row) ? known.since : monotonic
      after.set(row.id, { hold: holdOf(row), since })
      return monotonic - since >= BigInt(db.clockSkew) * 1_000_000n
    }
    for (;;) {
      const left = request.limit - swept.rescued - swept.ended
      const late = left <= 0 ? [] : yield* sequence.take(left, until(now))
      if (late.length === 0) {
        // a call that reached its limit has not looked at the rest
        yield* Ref.set(seen, left > 0 ? after : new Map([...before, ...after]))
        return swept
      }
      const ends = yield* change(
        db,
        late.map((entry) => idOf(entry.pk)),
        (id) => id,
        (row) => {
          if (row === undefined || !isOver(row)) return { answer: undefined }
          const next = expired(row, request, now)
          return { answer: next.state, next }
        }
      )
      for (const state of ends) {
        if (state === "pending") swept.rescued++
        else if (state !== undefined) swept.ended++
      }
    }
  })

/** A draft this old has no writer any more; if it has, the writer begins again. */
const draftAge = 10_000

const resolveDrafts = (db: Db, limit: number): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const old = yield* byInstant(db, "draft", limit).take(limit, until(now - draftAge))
    const found = yield* readAll(
      db,
      old.map((entry) => idOf(entry.pk))
    )
    yield* Effect.forEach(
      Array.from(found.values()).filter((job) => job.draft),
      (job) => resolve(db, job),
      { concurrency: db.concurrency, discard: true }
    )
  })

const removeOld =
  (db: Db) =>
  ({ age, state }: Retention.Old, limit: number): Effect.Effect<number, StorageError> =>
    Effect.gen(function* () {
      const before = (yield* Clock.currentTimeMillis) - age
      const sequence = byInstant(db, state, limit)
      let removed = 0
      for (;;) {
        const old = removed >= limit ? [] : yield* sequence.take(limit - removed, until(before))
        if (old.length === 0) return removed
        const answers = yield* change(
          db,
          old.map((entry) => idOf(entry.pk)),
          (id) => id,
          (row) =>
            row?.state === state && (row.finishedAt ?? 0) <= before ? { answer: true, next: null } : { answer: false }
        )
        removed += answers.filter((answer) => answer).length
      }
    })

export const sweep =
  (db: Db, seen: Sightings): Service["sweep"] =>
  (request) =>
    Effect.gen(function* () {
      const swept = yield* rescue(db, seen, request)
      yield* resolveDrafts(db, request.limit)
      const removed = yield* Retention.removeAll(Retention.due(request.retention), request.limit, removeOld(db))
      return { ...swept, removed }
    })

export const prune =
  (db: Db): Service["prune"] =>
  (states, age, limit) =>
    Retention.removeAll(
      states.map((state) => ({ state, age })),
      limit,
      removeOld(db)
    )
