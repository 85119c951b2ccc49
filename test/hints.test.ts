/** Wake-ups inside a process, as whoever reads the storage's stream hears them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Queue, Stream } from "effect"
import * as Hints from "../src/internal/hints.js"
import { JobStorage, type Wakeup } from "../src/JobStorage.js"
import * as MemoryStorage from "../src/storage/MemoryStorage.js"
import { job, schedule } from "./storage/jobs.js"

const onMemory = <A, E>(use: (storage: JobStorage["Type"]) => Effect.Effect<A, E>) =>
  Effect.flatMap(JobStorage, use).pipe(Effect.provide(MemoryStorage.layer), Effect.timeout("10 seconds"))

/** A reader of the stream that does not go on before it is asked for the next wake-up. */
const reader = (storage: JobStorage["Type"]) =>
  Effect.gen(function* () {
    const asked = yield* Queue.unbounded<void>()
    const heard = yield* Queue.unbounded<Wakeup>()
    yield* Effect.fork(
      Stream.runForEach(storage.wakeups, (wakeup) => Effect.zipRight(Queue.take(asked), Queue.offer(heard, wakeup)))
    )
    return Effect.zipRight(Queue.offer(asked, undefined), Queue.take(heard))
  })

describe("hints inside a process", () => {
  it.live("each new reader is told to look for both kinds", () =>
    onMemory((storage) =>
      Effect.gen(function* () {
        for (const next of [yield* reader(storage), yield* reader(storage)]) {
          assert.sameMembers([yield* next, yield* next], ["jobs", "schedules"])
        }
      })
    )
  )

  it.live("what was not read yet stands for the next of its kind, and not for another's", () =>
    onMemory((storage) =>
      Effect.gen(function* () {
        const next = yield* reader(storage)
        yield* next
        yield* next
        for (let n = 0; n < 100; n++) {
          yield* storage.insert([job()])
          yield* Effect.yieldNow()
        }
        yield* storage.putSchedules([schedule()])
        const heard = [yield* next]
        while (heard.at(-1) !== "schedules") heard.push(yield* next)
        assert.include(heard, "jobs")
        assert.isAtMost(heard.length, 4)
      })
    )
  )

  it.live("who has stopped listening is told nothing more, others are", () =>
    Effect.gen(function* () {
      const { hear, tell } = Hints.make()
      const heard: { readonly [who in "gone" | "there"]: Array<Wakeup> } = { gone: [], there: [] }
      const gone = yield* Effect.fork(hear((wakeup) => heard.gone.push(wakeup)))
      const there = yield* Effect.fork(hear((wakeup) => heard.there.push(wakeup)))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(gone)
      tell("jobs")
      yield* Fiber.interrupt(there)
      assert.deepStrictEqual(heard, { gone: ["jobs", "schedules"], there: ["jobs", "schedules", "jobs"] })
    })
  )
})
