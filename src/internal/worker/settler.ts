/** Collects outcomes while the last flush is under way, so that batching costs no delay. */
import * as Effect from "effect/Effect"
import type { Outcome, Service } from "../../JobStorage.js"
import type { Loop } from "./loop.js"
import * as Signal from "./signal.js"

const batch = 1_000

export interface Settler {
  readonly offer: (outcome: Outcome) => void
  readonly run: Effect.Effect<never>
  /** Outcomes not yet recorded. */
  readonly size: () => number
}

export const make = (
  storage: Service,
  loop: Loop,
  /** Called for each outcome once the storage has answered. */
  settled: (outcome: Outcome, accepted: boolean) => void
): Effect.Effect<Settler> =>
  Effect.gen(function* () {
    const signal = yield* Signal.make
    let waiting: Array<Outcome> = []
    let flushing: ReadonlyArray<Outcome> = []

    const flush = Effect.suspend(() => {
      if (flushing.length === 0) {
        flushing = waiting.length <= batch ? waiting : waiting.slice(0, batch)
        waiting = waiting.length <= batch ? [] : waiting.slice(batch)
      }
      if (flushing.length === 0) return signal.wait
      // kept in `flushing` when it fails: the next turn repeats the very same batch, which the storage allows for
      return Effect.map(Effect.uninterruptible(storage.settle(flushing)), (accepted) => {
        const done = flushing
        flushing = []
        done.forEach((outcome, i) => settled(outcome, accepted[i] === true))
      })
    })

    return {
      offer: (outcome) => {
        waiting.push(outcome)
        signal.raise()
      },
      run: loop.run(flush),
      size: () => waiting.length + flushing.length
    }
  })
