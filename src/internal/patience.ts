/** Waiting for an answer no longer than so long, also where nothing may interrupt: a peer may never answer. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"

/**
 * The call's answer, or `late` once the time (real time) is over. The call runs in a fiber of its own, which nobody's
 * interruption reaches but its caller's where the caller can be interrupted; an answer that comes when nobody waits for
 * it any more is given to `stray`.
 */
export const within = <A, E, R, E2>(
  call: Effect.Effect<A, E, R>,
  millis: number,
  late: Effect.Effect<never, E2>,
  options: {
    readonly stray?: ((answer: A) => Effect.Effect<void>) | undefined
    /** How an interruption is passed on; by default nobody waits for what it does. */
    readonly interrupt?: ((call: Fiber.Fiber<unknown>) => Effect.Effect<unknown>) | undefined
  } = {}
): Effect.Effect<A, E | E2, R> =>
  Effect.flatMap(Effect.runtime<R>(), (runtime) =>
    Effect.async<A, E | E2>((resume) => {
      const { interrupt = Fiber.interruptFork, stray = () => Effect.void } = options
      let waiting = true
      const giveUp = () => {
        waiting = false
        clearTimeout(timer)
      }
      const timer = setTimeout(() => {
        giveUp()
        resume(Effect.zipRight(Fiber.interruptFork(fiber), late))
      }, millis)
      // Not the fiber's own exit: fibers under way are referred to by old garbage, and young collections would keep with
      // them what they answered. And one that fails says so in the log, with what the driver says of values.
      const fiber = Runtime.runFork(
        runtime,
        Effect.flatMap(Effect.exit(call), (exit) => {
          if (waiting) {
            giveUp()
            resume(exit)
          } else if (Exit.isSuccess(exit)) Runtime.runFork(runtime, stray(exit.value))
          return Effect.void
        })
      )
      fiber.addObserver((over) => {
        if (!waiting || Exit.isSuccess(over)) return
        giveUp()
        resume(Exit.failCause(over.cause))
      })
      return Effect.suspend(() => {
        giveUp()
        return interrupt(fiber)
      })
    })
  )
