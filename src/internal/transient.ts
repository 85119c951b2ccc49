/** How the library waits out a storage that is briefly away: jittered exponential, bounded by tries. */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { StorageError } from "../JobError.js"

const backoff = Schedule.exponential("50 millis", 2).pipe(Schedule.jittered, Schedule.intersect(Schedule.recurs(5)))

export const isTransient = (error: unknown): boolean => error instanceof StorageError && error.isTransient

export const retry = <A, E, R>(effect: Effect.Effect<A, E | StorageError, R>): Effect.Effect<A, E | StorageError, R> =>
  Effect.retry(effect, { schedule: backoff, while: isTransient })
