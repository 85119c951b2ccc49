import { assert, describe, it } from "@effect/vitest"
import { Job, JobQueue, JobStorage, Worker } from "dbjobq"
import * as MemoryStorage from "dbjobq/storage/MemoryStorage"
import { type Duration, Effect, Fiber, Layer, Ref, TestClock } from "effect"

const Charge = Job.make("Charge", { retry: { times: 0 } })
const Resize = Job.make("Resize")

const services = JobQueue.layer.pipe(Layer.provideMerge(MemoryStorage.layer))

const taking = (duration: Duration.DurationInput) => ({
  charge: Charge.toLayer(() => Effect.sleep(duration)),
  resize: Resize.toLayer(() => Effect.sleep(duration))
})

/** The rows that a worker holds, by the name of their job. */
const held = Effect.gen(function* () {
  const { jobs } = yield* JobQueue.list({ states: ["running"], limit: 200 })
  const of = (name: string) => jobs.filter((job) => job.name === name).length
  return { charge: of("Charge"), resize: of("Resize") }
})

describe("claiming ahead", () => {
  it.scoped("a job without retries is claimed for a free slot only: lost with its worker it would end as failed", () =>
    Effect.gen(function* () {
      yield* JobQueue.enqueueAll(Charge, Array.from({ length: 100 }))
      const { charge } = taking("20 millis")
      const worker = yield* Worker.make([Charge], { concurrency: 5 }).pipe(Effect.provide(charge))
      for (let n = 0; n < 10; n++) {
        yield* TestClock.adjust("20 millis")
        assert.isAtMost((yield* held).charge, 5)
      }
      yield* TestClock.adjust("1 second")
      yield* worker.awaitIdle
      assert.deepStrictEqual(yield* JobQueue.counts, [{ queue: "default", state: "completed", count: 100 }])
    }).pipe(Effect.provide(services))
  )

  it.scoped("beside others it takes its turn: an urgent one is the next to run, however many of the others wait", () =>
    Effect.gen(function* () {
      const { charge, resize } = taking("10 millis")
      yield* JobQueue.enqueueAll(Resize, Array.from({ length: 500 }))
      yield* Worker.make([Charge, Resize], { concurrency: 5, shutdownTimeout: 0 }).pipe(
        Effect.provide(Layer.merge(charge, resize))
      )
      yield* TestClock.adjust("100 millis")
      const id = yield* JobQueue.enqueue(Charge, undefined, { priority: 10 })
      yield* TestClock.adjust("30 millis")
      assert.strictEqual((yield* JobQueue.get(id)).state, "completed")
      assert.isAtMost((yield* held).resize, 5)
    }).pipe(Effect.provide(services))
  )

  it.scoped("hints that come thick and fast make a worker claim no more than it uses up", () =>
    Effect.gen(function* () {
      const { resize } = taking("20 millis")
      yield* Worker.make([Resize], { concurrency: 5, shutdownTimeout: 0 }).pipe(Effect.provide(resize))
      for (let n = 0; n < 150; n++) {
        yield* JobQueue.enqueueAll(Resize, Array.from({ length: 10 }))
        yield* TestClock.adjust("1 millis")
      }
      // 250 jobs a second: a quarter of a second's worth, and those that run
      const { running } = Object.fromEntries((yield* JobQueue.counts).map(({ count, state }) => [state, count]))
      assert.isAtMost(running ?? 0, 100)
    }).pipe(Effect.provide(services))
  )

  it.scopedLive("what ends while a claim is under way is no reason for another", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage.JobStorage
      const claims: Array<{ readonly asked: number; readonly got: number }> = []
      const slow = JobStorage.JobStorage.of({
        ...storage,
        claim: (request) =>
          Effect.tap(Effect.delay(storage.claim(request), "20 millis"), (rows) =>
            Effect.sync(() => claims.push({ asked: request.limit, got: rows.length }))
          )
      })
      yield* JobQueue.enqueueAll(Resize, Array.from({ length: 1_000 }))
      const { resize } = taking("5 millis")
      yield* Worker.make([Resize], { concurrency: 20, shutdownTimeout: 0 }).pipe(
        Effect.provide(resize),
        Effect.provideService(JobStorage.JobStorage, slow)
      )
      yield* Effect.repeat(Effect.delay(JobQueue.counts, "10 millis"), {
        until: ([first]) => first?.state === "completed" && first.count === 1_000
      })
      // another claim would have come by now
      yield* Effect.sleep("100 millis")
      assert.isAbove(claims.length, 1)
      // none follows one that found less than it asked for, as all were there from the beginning
      assert.isTrue(
        claims.slice(0, -1).every(({ asked, got }) => got === asked),
        JSON.stringify(claims)
      )
    }).pipe(Effect.provide(services))
  )

  it.scopedLive("hints during a backlog do not make it claim less at a time", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage.JobStorage
      const full: Array<number> = []
      const recording = JobStorage.JobStorage.of({
        ...storage,
        claim: (request) =>
          Effect.tap(storage.claim(request), (rows) =>
            Effect.sync(() => rows.length === request.limit && full.push(rows.length))
          )
      })
      yield* JobQueue.enqueueAll(Resize, Array.from({ length: 4_000 }))
      const { resize } = taking("2 millis")
      yield* Worker.make([Resize], { concurrency: 20, shutdownTimeout: 0 }).pipe(
        Effect.provide(resize),
        Effect.provideService(JobStorage.JobStorage, recording)
      )
      yield* Effect.repeat(Effect.delay(JobQueue.enqueue(Resize), "3 millis"), {
        until: () =>
          Effect.map(JobQueue.counts, (counts) =>
            counts.some(({ count, state }) => state === "completed" && count >= 4_000)
          )
      })
      const ahead = full.slice(full.findIndex((rows) => rows > 100))
      assert.isAbove(ahead.length, 3)
      // free slots only, twenty at most, would be a worker that has forgotten how fast its jobs are
      assert.isTrue(
        ahead.every((rows) => rows > 20),
        JSON.stringify(full)
      )
    }).pipe(Effect.provide(services))
  )

  it.scopedLive("a storage that records slowly is not given ever more to record", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage.JobStorage
      const claimed = yield* Ref.make(0)
      const settled = yield* Ref.make(0)
      const most = yield* Ref.make(0)
      const slow = JobStorage.JobStorage.of({
        ...storage,
        claim: (request) =>
          Effect.tap(storage.claim(request), (rows) =>
            Effect.gen(function* () {
              const open = (yield* Ref.updateAndGet(claimed, (n) => n + rows.length)) - (yield* Ref.get(settled))
              yield* Ref.update(most, (n) => Math.max(n, open))
            })
          ),
        settle: (outcomes) =>
          Effect.zipRight(
            Ref.update(settled, (n) => n + outcomes.length),
            Effect.delay(storage.settle(outcomes), "50 millis")
          )
      })
      yield* JobQueue.enqueueAll(Resize, Array.from({ length: 5_000 }))
      const noop = Resize.toLayer(() => Effect.void)
      yield* Worker.make([Resize], { concurrency: 10, prefetch: 100, shutdownTimeout: 0 }).pipe(
        Effect.provide(noop),
        Effect.provideService(JobStorage.JobStorage, slow)
      )
      yield* Effect.repeat(Effect.delay(JobQueue.counts, "10 millis"), {
        until: ([first]) => first?.state === "completed" && first.count === 5_000
      })
      // those that wait to be recorded, at most half as many as may be held ahead, and another claim's
      assert.isAtMost(yield* Ref.get(most), 100 / 2 + 10 + (100 + 10) + 10)
    }).pipe(Effect.provide(services))
  )

  it.scoped("the storage is told of releases, and the worker does not count them as attempts", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage.JobStorage
      const released = yield* Ref.make(0)
      const counting = JobStorage.JobStorage.of({
        ...storage,
        settle: (outcomes) =>
          Effect.zipRight(
            Ref.update(released, (n) => n + outcomes.filter(({ to }) => to === "release").length),
            storage.settle(outcomes)
          )
      })
      yield* JobQueue.enqueueAll(Resize, Array.from({ length: 20 }))
      const { resize } = taking("1 minute")
      const worker = yield* Worker.make([Resize], { concurrency: 5, shutdownTimeout: 0 }).pipe(
        Effect.provide(resize),
        Effect.provideService(JobStorage.JobStorage, counting)
      )
      yield* TestClock.adjust("1 second")
      const stopping = yield* Effect.fork(worker.stop)
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(stopping)
      assert.isAbove(yield* Ref.get(released), 0)
      assert.strictEqual((yield* worker.status).settled, 0)
    }).pipe(Effect.provide(services))
  )
})
