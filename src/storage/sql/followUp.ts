/** Looks again a few times after a sign of something that becomes visible only later, nobody knows when. */
import * as Effect from "effect/Effect"
import { liveClock } from "../../internal/liveClock.js"

export interface FollowUp {
  /** A sign. Answers whether `run` is to be run for it: while it runs, it begins anew by itself. */
  readonly poke: () => boolean
  readonly run: Effect.Effect<void>
}

/** The effect after each of the pauses. The first of them is never cut, or signs without end would keep it from ending. */
export const make = (pauses: ReadonlyArray<Effect.Effect<void>>, effect: Effect.Effect<void>): FollowUp => {
  const anew = Effect.unsafeMakeLatch(false)
  let round: number | undefined
  /** A sign came during the last look, which may not have seen what it was for. */
  let again = false
  const step = (at: number, pause: Effect.Effect<void>) =>
    Effect.flatMap(Effect.raceFirst(Effect.as(pause, true), Effect.as(anew.await, false)), (paused) => {
      round = paused ? at + 1 : 0
      anew.unsafeClose()
      return paused ? effect : Effect.void
    })
  const run: Effect.Effect<void> = Effect.suspend(() => {
    const at = round ?? 0
    const pause = pauses[at]
    if (pause !== undefined) return Effect.zipRight(step(at, pause), run)
    round = again ? 0 : undefined
    again = false
    return round === undefined ? Effect.void : run
  })
  return {
    poke: () => {
      if (round === undefined) {
        round = 0
        return true
      }
      if (round === pauses.length) again = true
      else if (round > 0) anew.unsafeOpen()
      return false
    },
    run: Effect.withClock(run, liveClock)
  }
}
