/** A turn for the event loop: Effect's own yield gives way to other fibers, but to no socket and no timer. */
import * as Effect from "effect/Effect"

export const turn: Effect.Effect<void> = Effect.async((resume) => {
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})
