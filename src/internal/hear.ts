/** Wake-ups by a callback, which is how a worker hears them, and as the stream that the storage's seam is made of. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import type { StorageError } from "../JobError.js"
import type { Wakeup } from "../JobStorage.js"
import * as Signal from "./signal.js"

/** Listens until it is interrupted or fails, and calls back at each wake-up. */
export type Hear = (heard: (wakeup: Wakeup) => void) => Effect.Effect<never, StorageError>

const TypeId: unique symbol = Symbol("dbjobq/Hear")

interface Heard {
  readonly [TypeId]: Hear
}

const isHeard = (wakeups: object): wakeups is Heard => Predicate.hasProperty(wakeups, TypeId)

/** Hears what either does. */
export const both =
  (one: Hear, other: Hear): Hear =>
  (heard) =>
    Effect.raceFirst(one(heard), other(heard))

/** The stream of what is heard. One that nobody has read yet stands for the next of its kind. */
export const stream = (hear: Hear): Stream.Stream<Wakeup, StorageError> => {
  const wakeups = Stream.suspend(() => {
    const unread = new Set<Wakeup>()
    const signal = Signal.make()
    const read = Effect.map(signal.wait, () => {
      const all = Chunk.fromIterable([...unread])
      unread.clear()
      return all
    })
    const hearing = hear((wakeup) => {
      unread.add(wakeup)
      signal.raise()
    })
    return Stream.merge(Stream.repeatEffectChunk(read), Stream.drain(Stream.fromEffect(hearing)))
  })
  return Object.assign(wakeups, { [TypeId]: hear })
}

/**
 * Calls back at each of the wake-ups: at once where the stream is one of the above, as to pull them out of a stream takes a
 * tenth of a millisecond that a job waits for.
 */
export const from =
  (wakeups: Stream.Stream<Wakeup, StorageError>): Hear =>
  (heard) =>
    isHeard(wakeups)
      ? wakeups[TypeId](heard)
      : Effect.zipRight(
          Stream.runForEach(wakeups, (wakeup) => Effect.sync(() => heard(wakeup))),
          Effect.never
        )
