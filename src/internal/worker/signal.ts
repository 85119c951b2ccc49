/** A flag that one fiber waits for and any code may raise: raised twice before it is seen counts once. */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"

export interface Signal {
  readonly raise: () => void
  /** Returns once raised, and lowers it. */
  readonly wait: Effect.Effect<void>
}

export const make: Effect.Effect<Signal> = Effect.map(Queue.dropping<void>(1), (queue) => ({
  raise: () => {
    queue.unsafeOffer(undefined)
  },
  wait: Queue.take(queue)
}))
