// How to test jobs: on MemoryStorage, under the test clock, without waiting.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Ref, Schedule, Schema, TestClock } from "effect"
import { Job, JobQueue, Worker } from "dbjobq"
import * as MemoryStorage from "dbjobq/storage/MemoryStorage"

// ----- the application -----

class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {}

class Mailer extends Effect.Tag("Mailer")<Mailer, { readonly send: (to: string) => Effect.Effect<void, Busy> }>() {}

const Welcome = Job.make("Welcome", {
  payload: { to: Schema.String },
  error: Busy,
  retry: { times: 2, schedule: Schedule.spaced("1 minute") }
})

const WelcomeLive = Welcome.toLayer(({ to }) => Mailer.send(to))

// ----- its tests -----

/** A mailer that is busy the first `times` times and remembers what it sent. */
const makeMailer = (times: number) =>
  Effect.gen(function* () {
    const sent = yield* Ref.make<ReadonlyArray<string>>([])
    const busy = yield* Ref.make(times)
    const send = (to: string) =>
      Effect.flatMap(
        Ref.getAndUpdate(busy, (n) => n - 1),
        (n) => (n > 0 ? new Busy() : Ref.update(sent, (all) => [...all, to]))
      )
    return { sent: Ref.get(sent), layer: Layer.succeed(Mailer, { send }) }
  })

const makeWorker = (mailer: Layer.Layer<Mailer>) =>
  Worker.make([Welcome]).pipe(Effect.provide(Layer.provide(WelcomeLive, mailer)))

const queue = JobQueue.layer.pipe(Layer.provideMerge(MemoryStorage.layer))

describe("Welcome", () => {
  it.scoped("sends an email", () =>
    Effect.gen(function* () {
      const mailer = yield* makeMailer(0)
      const worker = yield* makeWorker(mailer.layer)
      const id = yield* JobQueue.enqueue(Welcome, { to: "ann@example.com" })
      yield* worker.awaitIdle
      yield* JobQueue.join(Welcome, id)
      assert.deepStrictEqual(yield* mailer.sent, ["ann@example.com"])
    }).pipe(Effect.provide(queue))
  )

  it.scoped("tries again a minute after the mailer was busy", () =>
    Effect.gen(function* () {
      const mailer = yield* makeMailer(1)
      const worker = yield* makeWorker(mailer.layer)
      const id = yield* JobQueue.enqueue(Welcome, { to: "ann@example.com" })
      yield* worker.awaitIdle
      assert.strictEqual((yield* JobQueue.get(id)).state, "scheduled")

      yield* TestClock.adjust("1 minute")
      yield* worker.awaitIdle
      const job = yield* JobQueue.get(id)
      assert.strictEqual(job.state, "completed")
      assert.strictEqual(job.attempt, 2)
      assert.deepStrictEqual(yield* mailer.sent, ["ann@example.com"])
    }).pipe(Effect.provide(queue))
  )

  it.scoped("gives up with its own error after two retries", () =>
    Effect.gen(function* () {
      const mailer = yield* makeMailer(3)
      const worker = yield* makeWorker(mailer.layer)
      const id = yield* JobQueue.enqueue(Welcome, { to: "ann@example.com" })
      yield* worker.awaitIdle
      yield* TestClock.adjust("1 minute")
      yield* worker.awaitIdle
      yield* TestClock.adjust("1 minute")
      yield* worker.awaitIdle
      assert.instanceOf(yield* Effect.flip(JobQueue.join(Welcome, id)), Busy)
      assert.deepStrictEqual(yield* mailer.sent, [])
    }).pipe(Effect.provide(queue))
  )

  it.scoped("does not run a delayed job early", () =>
    Effect.gen(function* () {
      const mailer = yield* makeMailer(0)
      const worker = yield* makeWorker(mailer.layer)
      yield* JobQueue.enqueue(Welcome, { to: "ann@example.com" }, { delay: "10 minutes" })
      yield* TestClock.adjust("9 minutes")
      yield* worker.awaitIdle
      assert.deepStrictEqual(yield* mailer.sent, [])
      yield* TestClock.adjust("1 minute")
      yield* worker.awaitIdle
      assert.deepStrictEqual(yield* mailer.sent, ["ann@example.com"])
    }).pipe(Effect.provide(queue))
  )
})
