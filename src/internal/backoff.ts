/** The delay before a retry: an Effect Schedule replayed purely to its n-th step, so that no fiber has to remember it. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Schedule from "effect/Schedule"
import * as Decision from "effect/ScheduleDecision"
import * as Intervals from "effect/ScheduleIntervals"

const base = 1_000
const cap = 3_600_000

/**
 * Exponential from 1 s, factor 2, capped at 1 h, with full jitter ("Exponential Backoff And Jitter", AWS Architecture
 * Blog, 2015): uniform between 0 and the cap of that step.
 */
export const standard = (retry: number): Effect.Effect<number> =>
  Effect.map(Random.next, (unit) => Math.round(unit * Math.min(cap, base * 2 ** Math.min(retry - 1, 30))))

/** Milliseconds before retry number `retry` (from 1), or undefined when the schedule has ended. */
export const replay = <In>(
  schedule: Schedule.Schedule<unknown, In>,
  retry: number,
  input: In
): Effect.Effect<number | undefined> =>
  Effect.gen(function* () {
    let now = yield* Clock.currentTimeMillis
    let state: unknown = schedule.initial
    let delay = 0
    for (let step = 0; step < retry; step++) {
      const [next, , decision] = yield* schedule.step(now, input, state)
      if (Decision.isDone(decision)) return undefined
      const start = Intervals.start(decision.intervals)
      delay = Math.max(0, start - now)
      now = Math.max(now, start)
      state = next
    }
    return delay
  })
