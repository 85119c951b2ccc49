/** How the library waits out a storage that is briefly away: jittered exponential, bounded by tries. */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { StorageError } from "../JobError.js"

const backoff = Schedule.exponential("50 millis", 2).pipe(Schedule.jittered, Schedule.intersect(Schedule.recurs(5)))

export const retry = <A, E, R>(effect: Effect.Effect<A, E | StorageError, R>): Effect.Effect<A, E | StorageError, R> =>
  Effect.retry(effect, {
    schedule: backoff,
    while: (error) => isStorageError(error) && error.isTransient
  })

const isStorageError = (error: unknown): error is StorageError =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "StorageError"
