/** Wake-ups inside one process. */
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import type { Wakeup } from "../JobStorage.js"

export interface Hints {
  readonly tell: (wakeup: Wakeup) => void
  readonly stream: Stream.Stream<Wakeup>
}

/**
 * One channel for each kind: a hint that was not read yet stands for the next of its kind, but not for another's. A new
 * listener hears both at once, for what changed before it listened.
 */
export const make: Effect.Effect<Hints> = Effect.gen(function* () {
  const channels = { jobs: yield* PubSub.sliding<Wakeup>(1), schedules: yield* PubSub.sliding<Wakeup>(1) }
  const listen = (wakeup: Wakeup) =>
    Stream.unwrapScoped(
      Effect.map(PubSub.subscribe(channels[wakeup]), (queue) =>
        Stream.concat(Stream.make(wakeup), Stream.fromQueue(queue))
      )
    )
  return {
    tell: (wakeup) => {
      channels[wakeup].unsafeOffer(wakeup)
    },
    stream: Stream.merge(listen("jobs"), listen("schedules"))
  }
})
