import { assert, describe, it } from "@effect/vitest"
import { Job, JobError, JobQueue, JobSchedule, JobStorage, Recurrence, Worker } from "dbjobq"
import * as MemoryStorage from "dbjobq/storage/MemoryStorage"
import { drain, enqueued, layer } from "dbjobq/testing"
import { Chunk, Effect, Layer, Schema, Stream, TestClock } from "effect"

const Send = Job.make("Send", {
  payload: { to: Schema.String, n: Schema.optional(Schema.Number) },
  success: Schema.String,
  uniqueKey: ({ to }) => (to === "any" ? undefined : to)
})
const any = { to: "any" }

/** As a caller without types gives it. */
const untyped = (text: string): JobQueue.EnqueueOptions => JSON.parse(text)

describe("JobQueue", () => {
  it.effect(
    "a payload that breaks its schema is refused by path and type, never by value, and nothing is written",
    () =>
      Effect.gen(function* () {
        const Secret = Job.make("Secret", { payload: { user: Schema.Struct({ pin: Schema.NumberFromString }) } })
        const Loose = Job.make("Loose", { payload: { value: Schema.Unknown } })
        const wrong: unknown = "hunter2"
        // a producer in plain JavaScript: the schema is what stands between it and the row
        const error = yield* Effect.flip(Secret.encodePayload({ user: { pin: wrong } }, Number.POSITIVE_INFINITY))
        assert.strictEqual(error.path, "user.pin")
        assert.notInclude(String(error), "hunter2")
        for (const value of [1n, Number.NaN, new Date(0), [undefined], -0, new Map()]) {
          const refused = yield* Effect.flip(JobQueue.enqueue(Loose, { value }))
          assert.strictEqual(refused._tag, "PayloadError")
        }
        const big = yield* Effect.flip(JobQueue.enqueue(Loose, { value: "x".repeat(262_144) }))
        assert.include(String(big), "262144 bytes")
        yield* JobQueue.enqueue(Loose, { value: "x".repeat(262_144 - 12) })
        assert.strictEqual((yield* JobQueue.list()).jobs.length, 1)
      }).pipe(Effect.provide(layer))
  )

  it.effect("a refused payload is told what it should be: in words, and all of a union", () =>
    Effect.gen(function* () {
      const wrong: unknown = 9
      const expected = (field: Job.AnySchema, value: unknown = wrong) =>
        Effect.map(
          Effect.flip(Job.make("Refused", { payload: { a: field } }).encodePayload({ a: value }, Infinity)),
          (error) => error.message
        )
      assert.strictEqual(yield* expected(Schema.Literal("")), 'Refused: expected "a" to be an empty string')
      assert.strictEqual(yield* expected(Schema.Literal("x", "y")), 'Refused: expected "a" to be "x" | "y"')
      assert.strictEqual(yield* expected(Schema.NonEmptyString, ""), 'Refused: expected "a" to be NonEmptyString')
      const untitled = Schema.String.annotations({ title: "" })
      assert.strictEqual(yield* expected(untitled), `Refused: expected "a" to be of the schema's type`)
      const unread = new JobError.ResultError({ job: "J", id: "1", path: "", expected: "string" })
      assert.strictEqual(unread.message, "J 1: the stored result does not decode: expected it to be string")
    })
  )

  it.effect("an instant that is none is an InvalidOption that names the field", () =>
    Effect.gen(function* () {
      const instants: ReadonlyArray<JobQueue.EnqueueOptions> = [
        { runAt: new Date(Number.NaN) },
        { runAt: 1.5 },
        untyped('{"runAt":"tomorrow"}')
      ]
      for (const options of instants) {
        const error = yield* Effect.flip(JobQueue.enqueue(Send, any, options))
        assert.deepInclude(error, { _tag: "InvalidOption", field: "runAt" })
      }
    }).pipe(Effect.provide(layer))
  )

  it.effect("a storage that takes smaller payloads than the library refuses them as the library does", () =>
    Effect.gen(function* () {
      const Loose = Job.make("Loose", { payload: { value: Schema.String } })
      const exact = { value: "x".repeat(100 - 12) }
      const over = { value: "x".repeat(101 - 12) }
      const schedule = (payload: typeof over) =>
        JobSchedule.make("s", { job: Loose, payload, recurrence: Recurrence.every("1 hour") })
      const refused = [
        Effect.asVoid(JobQueue.enqueue(Loose, over)),
        Effect.asVoid(JobQueue.enqueueAll(Loose, [exact, over])),
        Effect.asVoid(JobQueue.putSchedule(schedule(over)))
      ]
      for (const write of refused) {
        const error = yield* Effect.flip(write)
        assert.strictEqual(error._tag, "PayloadError")
        assert.include(String(error), "at most 100 bytes")
      }
      assert.deepStrictEqual(yield* JobQueue.counts, [])
      yield* JobQueue.enqueueAll(Loose, [exact, exact])
      yield* JobQueue.putSchedule(schedule(exact))
    }).pipe(
      Effect.provide(
        JobQueue.layer.pipe(
          Layer.provide(
            Layer.effect(
              JobStorage.JobStorage,
              Effect.map(JobStorage.JobStorage, (storage) => ({
                ...storage,
                capabilities: {
                  ...storage.capabilities,
                  limits: { ...storage.capabilities.limits, payloadBytes: 100 }
                }
              }))
            )
          ),
          Layer.provide(MemoryStorage.layer)
        )
      )
    )
  )

  it.effect("a payload of null is kept as null, and only one left out counts as empty", () =>
    Effect.gen(function* () {
      const Nullable = Job.make("Nullable", { payload: Schema.NullOr(Schema.String) })
      const Optional = Job.make("Optional", { payload: { note: Schema.optional(Schema.String) } })
      assert.strictEqual((yield* JobQueue.get(yield* JobQueue.enqueue(Nullable, null))).payload, "null")
      assert.strictEqual((yield* JobQueue.get(yield* JobQueue.enqueue(Optional))).payload, "{}")
    }).pipe(Effect.provide(layer))
  )

  it.effect("options outside their rules are refused by field", () =>
    Effect.gen(function* () {
      const field = (options: JobQueue.EnqueueOptions) =>
        Effect.map(Effect.flip(JobQueue.enqueue(Send, any, options)), (error) =>
          error._tag === "InvalidOption" ? error.field : error._tag
        )
      assert.strictEqual(yield* field({ priority: 2 ** 31 }), "priority")
      assert.strictEqual(yield* field({ delay: -1 }), "delay")
      assert.strictEqual(yield* field({ delay: Number.POSITIVE_INFINITY }), "delay")
      assert.strictEqual(yield* field({ delay: 1, runAt: 1 }), "runAt")
      assert.strictEqual(yield* field({ runAt: new Date(Number.NaN) }), "runAt")
      assert.strictEqual(yield* field({ queue: "no spaces" }), "queue")
      assert.strictEqual(yield* field({ retries: -1 }), "retries")
      assert.strictEqual(yield* field({ id: "" }), "id")
      assert.throws(() => Job.make(""), JobError.InvalidOption)
      assert.throws(() => Job.make("a", { priority: 0.5 }), JobError.InvalidOption)
      assert.throws(() => Job.make("a", { timeout: 0 }), JobError.InvalidOption)
      const item = yield* Effect.flip(
        JobQueue.enqueueAll(Send, [any, any], (_, index) => (index === 1 ? { priority: 0.5 } : {}))
      )
      assert.strictEqual(item._tag === "InvalidOption" ? item.index : undefined, 1)
      assert.deepStrictEqual((yield* JobQueue.list()).jobs, [])
    }).pipe(Effect.provide(layer))
  )

  it.effect("a unique key answers its holder and is free again once the job is finished", () =>
    Effect.gen(function* () {
      const first = yield* JobQueue.enqueueOrGet(Send, { to: "ada" })
      const second = yield* JobQueue.enqueueOrGet(Send, { to: "ada" })
      assert.deepStrictEqual(second, { id: first.id, created: false })
      assert.isTrue(first.created)
      assert.strictEqual(yield* JobQueue.cancel(first.id), "cancelled")
      const third = yield* JobQueue.enqueueOrGet(Send, { to: "ada" })
      assert.isTrue(third.created)
      assert.strictEqual(yield* JobQueue.rerun(first.id), "duplicate")
    }).pipe(Effect.provide(layer))
  )

  it.effect("an id that exists adds nothing under the same job, and is an error under another", () =>
    Effect.gen(function* () {
      const Other = Job.make("Other")
      yield* JobQueue.enqueue(Send, any, { id: "order-1" })
      assert.deepStrictEqual(yield* JobQueue.enqueueOrGet(Send, any, { id: "order-1" }), {
        id: Job.id(Send, "order-1"),
        created: false
      })
      const error = yield* Effect.flip(JobQueue.enqueue(Other, {}, { id: "order-1" }))
      assert.strictEqual(error._tag === "InvalidOption" ? error.field : error._tag, "id")
      assert.strictEqual((yield* JobQueue.list()).jobs.length, 1)
    }).pipe(Effect.provide(layer))
  )

  it.effect("lists in pages, by every filter, and streams all", () =>
    Effect.gen(function* () {
      const ids = yield* JobQueue.enqueueAll(
        Send,
        Array.from({ length: 450 }, () => any),
        (_, index) => ({ queue: index % 2 === 0 ? "even" : "odd", tags: index === 7 ? ["lucky"] : [] })
      )
      assert.strictEqual(new Set(ids).size, 450)
      const all = Chunk.toReadonlyArray(yield* Stream.runCollect(JobQueue.stream()))
      assert.deepStrictEqual(
        all.map(({ id }) => id),
        [...ids].sort()
      )
      assert.deepStrictEqual(
        (yield* JobQueue.list({ tag: "lucky" })).jobs.map(({ id }) => id),
        ids.slice(7, 8)
      )
      assert.strictEqual((yield* JobQueue.list({ queues: ["even"], limit: 200 })).jobs.length, 200)
      assert.strictEqual((yield* JobQueue.list({ states: ["failed"] })).jobs.length, 0)
      const counts = yield* JobQueue.counts
      assert.deepStrictEqual(counts.map(({ count, queue, state }) => `${queue} ${state} ${count}`).sort(), [
        "even pending 225",
        "odd pending 225"
      ])
      assert.strictEqual((yield* Effect.flip(JobQueue.list({ limit: 201 })))._tag, "InvalidOption")
    }).pipe(Effect.provide(layer))
  )

  it.scoped("pause, reschedule, remove, rerun and prune do what they answer", () =>
    Effect.gen(function* () {
      const live = Layer.mergeAll(Send.toLayer(() => Effect.succeed("sent")))
      const worker = yield* Worker.make([Send]).pipe(Effect.provide(live))
      const idle = Effect.provideService(drain, Worker.Worker, worker)
      yield* JobQueue.pauseQueue("default")
      assert.deepStrictEqual(yield* JobQueue.pausedQueues, ["default"])
      const id = yield* JobQueue.enqueue(Send, any)
      yield* idle
      assert.deepStrictEqual(yield* enqueued(Send), [any])
      assert.strictEqual(yield* JobQueue.reschedule(id, { delay: "1 minute" }), "rescheduled")
      yield* JobQueue.resumeQueue("default")
      yield* idle
      assert.strictEqual((yield* JobQueue.get(id)).state, "scheduled")
      yield* TestClock.adjust("1 minute")
      yield* idle
      assert.strictEqual(yield* JobQueue.join(Send, id), "sent")
      assert.strictEqual(yield* JobQueue.rerun(id), "rerun")
      yield* idle
      const row = yield* JobQueue.get(id)
      assert.deepStrictEqual([row.state, row.generation, row.attempt], ["completed", 2, 1])
      assert.strictEqual(yield* JobQueue.prune({ age: "1 hour" }), 0)
      assert.strictEqual(yield* JobQueue.prune({ age: 0, states: ["failed"] }), 0)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* JobQueue.prune({ age: "500 millis" }), 1)
      const other = yield* JobQueue.enqueue(Send, any, { delay: "1 hour" })
      assert.strictEqual(yield* JobQueue.remove(other), "removed")
      assert.strictEqual((yield* Effect.flip(JobQueue.get(other)))._tag, "JobNotFound")
    }).pipe(Effect.provide(layer))
  )
})
