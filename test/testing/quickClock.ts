/**
 * A `TestClock` for long times: Effect's own lets three timers pass before each sleep it ends, about 4 ms, and ends
 * sleeps that nobody waits for any more.
 */
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as TestClock from "effect/TestClock"

interface Sleeper {
  readonly until: number
  readonly wake: () => void
}

/** Fibers run as microtasks: when the event loop turns, each of them sleeps, or waits for another or for the world. */
const settled = Effect.async<void>((resume) => {
  const turn = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(turn))
})

const make = (): TestClock.TestClock => {
  let now = 0
  /** The soonest last; of one instant, the first that fell asleep last. */
  let sleepers: ReadonlyArray<Sleeper> = []

  const sleep: Clock.Clock["sleep"] = (duration) =>
    Effect.async<void>((resume) => {
      const until = now + Duration.toMillis(duration)
      if (until <= now) return resume(Effect.void)
      const sleeper = { until, wake: () => resume(Effect.void) }
      const after = sleepers.filter((one) => one.until > until)
      sleepers = [...after, sleeper, ...sleepers.slice(after.length)]
      return Effect.sync(() => {
        sleepers = sleepers.filter((one) => one !== sleeper)
      })
    })

  const advance = (end: () => number): Effect.Effect<void> =>
    Effect.gen(function* () {
      yield* settled
      const until = end()
      for (;;) {
        const next = sleepers[sleepers.length - 1]
        if (next === undefined || next.until > until) break
        sleepers = sleepers.slice(0, -1)
        now = next.until
        next.wake()
        yield* settled
      }
      now = until
    })

  const adjust: TestClock.TestClock["adjust"] = (duration) => advance(() => now + Duration.toMillis(duration))

  const nanos = () => BigInt(Math.floor(now * 1_000_000))
  return {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => now,
    unsafeCurrentTimeNanos: nanos,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanos: Effect.sync(nanos),
    sleep,
    adjust,
    adjustWith: (duration) => (effect) => Effect.zipLeft(effect, adjust(duration), { concurrent: true }),
    setTime: (instant) => advance(() => instant),
    save: Effect.sync(() => {
      const saved = { now, sleepers }
      return Effect.sync(() => {
        now = saved.now
        sleepers = saved.sleepers
      })
    }),
    sleeps: Effect.sync(() => Chunk.fromIterable(sleepers.map(({ until }) => until).reverse()))
  }
}

/**
 * A clock of its own that stands at 0, for the effects of `TestClock`: `adjust` and `setTime` end the sleeps on their way
 * in order, and let all fibers run before the next. They do not wait for handlers that wait for the world outside, so use
 * it with the storage in memory.
 */
export const layerQuickClock: Layer.Layer<never> = Layer.unwrapEffect(Effect.sync(() => Layer.setClock(make())))
