/** Hears the storage's wake-ups, and passes each on to the loop that it concerns. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import type { Service, Wakeup } from "../../JobStorage.js"
import * as Hear from "../hear.js"

export const make = (
  storage: Service,
  wake: { readonly [W in Wakeup]: () => void },
  listens: Effect.Effect<void>
): { readonly turn: Effect.Effect<void, StorageError> } => ({
  turn: Effect.gen(function* () {
    const first = yield* Deferred.make<void>()
    yield* Effect.forkScoped(Effect.zipRight(Deferred.await(first), listens))
    yield* Hear.from(storage.wakeups)((wakeup) => {
      wake[wakeup]()
      Deferred.unsafeDone(first, Effect.void)
    })
  }).pipe(Effect.scoped)
})
