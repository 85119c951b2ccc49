import { assert, describe, it } from "@effect/vitest"
import { Recurrence } from "dbjobq"
import { Clock, DateTime, Duration, Effect, Exit, Fiber, Ref, Schedule, TestClock } from "effect"

const run = (self: Recurrence.Recurrence, clock: Clock.Clock, times: number) =>
  Effect.gen(function* () {
    const slots = yield* Ref.make<ReadonlyArray<string>>([])
    yield* Effect.void.pipe(
      Effect.schedule(
        Recurrence.toSchedule(self).pipe(
          Schedule.tapOutput((slot) => Ref.update(slots, (all) => [...all, DateTime.formatIso(slot)])),
          Schedule.intersect(Schedule.recurs(times))
        )
      )
    )
    return (yield* Ref.get(slots)).slice(0, times)
  }).pipe(Effect.withClock(clock))

/** A clock on which every sleep passes at once and is recorded; `wake` may set the clock when one ends. */
const recording = (start: string, wake: (now: number, sleeps: number) => number = (now) => now) => {
  const sleeps: Array<number> = []
  let now = Date.parse(start)
  const clock: Clock.Clock = {
    ...Clock.make(),
    unsafeCurrentTimeMillis: () => now,
    currentTimeMillis: Effect.sync(() => now),
    sleep: (duration) =>
      Effect.sync(() => {
        sleeps.push(Duration.toMillis(duration))
        now = wake(now + Duration.toMillis(duration), sleeps.length)
      })
  }
  return { clock, sleeps }
}

describe("Recurrence.toSchedule", () => {
  it.effect("recurs at the slots, whatever the time it began, and skips those it was too slow for", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(7_000)
      const seen = yield* Ref.make<ReadonlyArray<number>>([])
      const slow = Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const all = yield* Ref.updateAndGet(seen, (before) => [...before, now])
        if (all.length === 2) yield* Effect.sleep("25 seconds")
      })
      const fiber = yield* Effect.fork(Effect.schedule(slow, Recurrence.toSchedule(Recurrence.every("10 seconds"))))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* Ref.get(seen), [10_000, 20_000, 50_000, 60_000])
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("sleeps long gaps in pieces a timer can hold", () =>
    Effect.gen(function* () {
      const { clock, sleeps } = recording("2024-03-01T00:00:00.000Z")
      const slots = yield* run(Recurrence.unsafeCron("0 0 29 2 *"), clock, 2)
      assert.deepStrictEqual(slots, ["2028-02-29T00:00:00.000Z", "2032-02-29T00:00:00.000Z"])
      assert.isAtMost(Math.max(...sleeps), 86_400_000)
    })
  )

  it.effect("recurs once for a slot when the clock is set back, and does not spin", () =>
    Effect.gen(function* () {
      // the first sleep ends with the clock an hour before the slot it was for
      const { clock, sleeps } = recording("2024-01-01T00:00:30.000Z", (now, n) => (n === 1 ? now - 3_600_000 : now))
      const slots = yield* run(Recurrence.every("1 minute"), clock, 3)
      assert.deepStrictEqual(slots, [
        "2024-01-01T00:01:00.000Z",
        "2024-01-01T00:02:00.000Z",
        "2024-01-01T00:03:00.000Z"
      ])
      assert.deepStrictEqual(sleeps.slice(0, 3), [30_000, 3_660_000, 60_000])
    })
  )

  it.effect("skips to the present when the clock jumps ahead", () =>
    Effect.gen(function* () {
      const { clock } = recording("2024-01-01T00:00:30.000Z", (now, n) => (n === 1 ? now + 3_600_000 : now))
      assert.deepStrictEqual(yield* run(Recurrence.every("1 minute"), clock, 2), [
        "2024-01-01T00:01:00.000Z",
        "2024-01-01T01:02:00.000Z"
      ])
    })
  )

  it.effect("dies rather than loops when a slot is not later than asked", () =>
    Effect.gen(function* () {
      const sound = Recurrence.every("1 minute")
      const stuck = { ...sound, slots: { ...sound.slots, next: (after: number) => after } }
      const exit = yield* Effect.exit(run(stuck, recording("2024-01-01T00:00:00.000Z").clock, 3))
      assert.isTrue(Exit.isFailure(exit))
    })
  )
})
