/** A background loop that outlives every failure: logged once per cause, retried with jittered backoff, shown in health. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

export interface Health {
  readonly ok: boolean
  /** The latest failure's name and message while it lasts. */
  readonly problem: string | undefined
}

export interface Loop {
  readonly health: () => Health
  /** Never ends by itself. `turn` is one round, which may wait. */
  readonly run: <E, R>(turn: Effect.Effect<void, E, R>) => Effect.Effect<never, never, R>
}

const backoff = Schedule.exponential("200 millis", 2).pipe(
  Schedule.jittered,
  Schedule.union(Schedule.spaced("10 seconds"))
)

const describe = <E>(cause: Cause.Cause<E>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? `${error.name}: ${error.message}` : "an unknown failure"
}

export const make = (name: string): Loop => {
  let problem: string | undefined
  return {
    health: () => ({ ok: problem === undefined, problem }),
    run: (turn) =>
      turn.pipe(
        Effect.tap(() =>
          Effect.suspend(() => {
            if (problem === undefined) return Effect.void
            problem = undefined
            return Effect.logInfo(`dbjobq ${name}: recovered`)
          })
        ),
        Effect.forever,
        Effect.sandbox,
        Effect.tapError((cause) =>
          Effect.suspend(() => {
            if (Cause.isInterruptedOnly(cause)) return Effect.void
            const now = describe(cause)
            if (now === problem) return Effect.void
            problem = now
            return Effect.logWarning(`dbjobq ${name}: ${now}; will keep trying`)
          })
        ),
        // a success in between starts the backoff anew
        Effect.retry(Schedule.resetAfter(backoff, "30 seconds")),
        Effect.orDie
      )
  }
}
