/** Hears the storage's wake-ups, and passes each on to the loop that it concerns. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { StorageError } from "../../JobError.js"
import type { Service, Wakeup } from "../../JobStorage.js"

export const make = (
  storage: Service,
  wake: { readonly [W in Wakeup]: () => void },
  heard: Effect.Effect<void>
): { readonly turn: Effect.Effect<void, StorageError> } => ({
  // pulled by hand: to run the stream into a sink takes twice as long, and a job waits for it
  turn: Effect.flatMap(Stream.toPull(storage.wakeups), (pull) =>
    Effect.forever(
      Effect.flatMap(pull, (wakeups) => {
        Chunk.forEach(wakeups, (wakeup) => wake[wakeup]())
        // who was woken goes first
        return Effect.zipRight(Effect.yieldNow(), heard)
      })
    )
  ).pipe(
    Effect.scoped,
    Effect.catchAll((end) => (Option.isNone(end) ? Effect.never : Effect.fail(end.value)))
  )
})
