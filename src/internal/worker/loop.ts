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
  /** What is wrong although the turn goes on; undefined when it goes well, which a turn that never ends must say. */
  readonly report: (problem: string | undefined) => Effect.Effect<void>
  /** Never ends by itself. `turn` is one round, which may wait. */
  readonly run: <E, R>(turn: Effect.Effect<void, E, R>) => Effect.Effect<never, never, R>
}

const backoff = Schedule.exponential("200 millis", 2).pipe(
  Schedule.jittered,
  Schedule.union(Schedule.spaced("5 seconds"))
)

const describe = <E>(cause: Cause.Cause<E>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? `${error.name}: ${error.message}` : "an unknown failure"
}

export const make = (name: string): Loop => {
  let failure: string | undefined
  let reported: string | undefined

  const state = (next: { readonly failure: string | undefined; readonly reported: string | undefined }) =>
    Effect.suspend(() => {
      const before = failure ?? reported
      const now = next.failure ?? next.reported
      failure = next.failure
      reported = next.reported
      if (now === before) return Effect.void
      return now === undefined
        ? Effect.logInfo(`dbjobq ${name}: recovered`)
        : Effect.logWarning(`dbjobq ${name}: ${now}; will keep trying`)
    })

  return {
    health: () => {
      const problem = failure ?? reported
      return { ok: problem === undefined, problem }
    },
    report: (problem) => state({ failure: undefined, reported: problem }),
    run: (turn) =>
      turn.pipe(
        Effect.zipLeft(
          Effect.suspend(() => (failure === undefined ? Effect.void : state({ failure: undefined, reported })))
        ),
        Effect.forever,
        Effect.sandbox,
        Effect.tapError((cause) =>
          Cause.isInterruptedOnly(cause)
            ? Effect.void
            : Effect.suspend(() => state({ failure: describe(cause), reported }))
        ),
        // half a minute without a failure starts the backoff anew
        Effect.retry(Schedule.resetAfter(backoff, "30 seconds")),
        Effect.orDie
      )
  }
}
