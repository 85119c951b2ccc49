/** Waiting for an answer no longer than so long, also where nothing may interrupt: a peer may never answer. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"

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
    readonly interrupt?: ((call: Fiber.Fiber<void>) => Effect.Effect<unknown>) | undefined
  } = {}
): Effect.Effect<A, E | E2, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      const { interrupt = Fiber.interruptFork, stray = () => Effect.void } = options
      const answer = Deferred.unsafeMake<A, E | E2>(FiberId.none)
      let waiting = true
      const asked = Effect.flatMap(Effect.exit(restore(call)), (exit) =>
        Effect.suspend(() => {
          if (!waiting) return Exit.isSuccess(exit) ? stray(exit.value) : Effect.void
          waiting = false
          Deferred.unsafeDone(answer, exit)
          return Effect.void
        })
      )
      return Effect.flatMap(Effect.forkDaemon(asked), (fiber) => {
        const timer = setTimeout(() => {
          if (!waiting) return
          waiting = false
          Deferred.unsafeDone(answer, Effect.zipRight(Fiber.interruptFork(fiber), late))
        }, millis)
        return restore(Deferred.await(answer)).pipe(
          Effect.onInterrupt(() => {
            waiting = false
            return interrupt(fiber)
          }),
          Effect.ensuring(Effect.sync(() => clearTimeout(timer)))
        )
      })
    })
  )
