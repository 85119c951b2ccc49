/** Hears the storage's wake-ups, and passes each on to the loop that it concerns. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { StorageError } from "../../JobError.js"
import type { Service, Wakeup } from "../../JobStorage.js"

export const make = (
  storage: Service,
  wake: { readonly [W in Wakeup]: () => void },
  heard: Effect.Effect<void>
): { readonly turn: Effect.Effect<void, StorageError> } => ({
  turn: Effect.zipRight(
    Stream.runForEach(storage.wakeups, (wakeup) => {
      wake[wakeup]()
      // who was woken goes first: a job waits for it
      return Effect.zipRight(Effect.yieldNow(), heard)
    }),
    Effect.never
  )
})
