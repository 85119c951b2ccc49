/** A flag that fibers wait for and any code may raise: raised twice before it is seen counts once. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"

export interface Signal {
  readonly raise: () => void
  /** Whoever is about to see to it need not be told. */
  readonly lower: () => void
  /** Returns once raised, and lowers it. */
  readonly wait: Effect.Effect<void>
  /** The same for so many milliseconds at most; answers whether it was raised. */
  readonly waitFor: (millis: number) => Effect.Effect<boolean>
}

export const make = (): Signal => {
  let raised = false
  const waiting = new Set<() => void>()

  const lowered = (): boolean => {
    const was = raised
    raised = false
    return was
  }

  /** The timer starts where nothing can come between it and the wait that ends it. */
  const until = (sleep: Effect.Effect<void> | undefined) =>
    Effect.async<boolean>((done) => {
      // others may have had a turn since it was asked
      if (lowered()) return done(Effect.succeed(true))
      const wake = () => end(true)
      waiting.add(wake)
      const timer = sleep === undefined ? undefined : Effect.runFork(sleep)
      const stop = () => timer?.unsafeInterruptAsFork(FiberId.none)
      const end = (woken: boolean) => {
        if (!waiting.delete(wake)) return
        done(Effect.succeed(woken))
        // after who was woken has begun: a job may wait for it
        if (woken) setImmediate(stop)
      }
      timer?.addObserver(() => end(false))
      return Effect.sync(() => {
        waiting.delete(wake)
        stop()
      })
    })

  return {
    raise: () => {
      if (waiting.size === 0) raised = true
      else for (const wake of [...waiting]) wake()
    },
    lower: () => {
      raised = false
    },
    wait: Effect.suspend(() => (lowered() ? Effect.void : Effect.asVoid(until(undefined)))),
    // one fiber, where a race with a sleep would take three
    waitFor: (millis) =>
      Effect.flatMap(Effect.clock, (clock) =>
        lowered() ? Effect.succeed(true) : until(clock.sleep(Duration.millis(millis)))
      )
  }
}
