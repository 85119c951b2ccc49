import { assert, describe, it } from "@effect/vitest"
import { Job, JobQueue, JobSchedule, Recurrence, Worker } from "dbjobq"
import { layer } from "dbjobq/testing"
import { Chunk, Clock, Effect, Fiber, Layer, Schedule, TestClock } from "effect"
import { layerQuickClock } from "./quickClock.js"

describe("layerQuickClock", () => {
  const quick = Effect.provide(layerQuickClock)

  it.live("ends sleeps in order, and lets everything run before the next", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const note = (what: string) => Effect.map(Clock.currentTimeMillis, (now) => void seen.push([what, now]))
      const later = (millis: number, what: string) => Effect.delay(note(what), millis)
      yield* Effect.fork(Effect.zipRight(later(30, "a"), later(10, "a again")))
      yield* Effect.fork(later(10, "b"))
      yield* Effect.fork(later(30, "c"))
      yield* Effect.fork(later(50, "never"))
      yield* Effect.fork(Effect.repeat(note("tick"), Schedule.fixed(20)))
      yield* TestClock.adjust(45)
      assert.deepStrictEqual(seen, [
        ["tick", 0],
        ["b", 10],
        ["tick", 20],
        ["a", 30],
        ["c", 30],
        ["tick", 40],
        ["a again", 40]
      ])
      assert.strictEqual(yield* Clock.currentTimeMillis, 45)
      assert.strictEqual(yield* Clock.currentTimeNanos, 45_000_000n)
    }).pipe(Effect.scoped, quick)
  )

  it.live("forgets sleeps that were interrupted, and goes back to what was saved", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_000)
      const restore = yield* TestClock.save()
      const long = yield* Effect.fork(Effect.sleep("1 hour"))
      const timed = yield* Effect.fork(Effect.timeoutOption(Effect.never, "1 second"))
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(Chunk.toArray(yield* TestClock.sleeps()), [2_000, 3_601_000])
      yield* Fiber.interrupt(long)
      assert.deepStrictEqual(Chunk.toArray(yield* TestClock.sleeps()), [2_000])
      yield* TestClock.adjustWith("1 second")(Effect.sleep(500))
      assert.strictEqual((yield* Fiber.join(timed))._tag, "None")
      assert.strictEqual(yield* Clock.currentTimeMillis, 2_000)
      yield* restore
      assert.strictEqual(yield* Clock.currentTimeMillis, 1_000)
    }).pipe(quick)
  )

  it.live("a month of an hourly schedule, hour by hour", () => {
    const Tick = Job.make("Tick")
    const start = Date.UTC(2024, 0, 1)
    const hour = 3_600_000
    const ran: Array<number> = []
    const Live = Tick.toLayer(() => Effect.map(Clock.currentTimeMillis, (now) => void ran.push(now)))
    return Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const hourly = JobSchedule.make("hourly", { job: Tick, recurrence: Recurrence.every("1 hour") })
      yield* Worker.make([], { schedules: [hourly] }).pipe(Effect.provide(Live))
      yield* TestClock.adjust("31 days")
      assert.deepStrictEqual(
        ran,
        Array.from({ length: 31 * 24 }, (_, at) => start + (at + 1) * hour)
      )
      assert.deepInclude(yield* JobQueue.getSchedule("hourly"), { fired: 31 * 24, skipped: 0 })
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(layer, layerQuickClock)))
  })
})
