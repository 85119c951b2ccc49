import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import { Job, JobQueue } from "dbjobq"
import * as SqliteStorage from "dbjobq/storage/SqliteStorage"
import { Effect, Either, Exit, Layer, Option, Ref, Schema, Tracer } from "effect"

const Send = Job.make("Send", { payload: { to: Schema.String } })

const services = JobQueue.layer.pipe(Layer.provideMerge(SqliteStorage.layer({ filename: ":memory:" })))

const range = (count: number) => Array.from({ length: count }, (_, i) => i)

/** Runs the effect, and answers how many INSERT statements it took beside what it returned. */
const countingInserts = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const inserts = yield* Ref.make(0)
    const tracer = Tracer.make({
      span: (name, parent, context, links, startTime, kind) => {
        const attributes = new Map<string, unknown>()
        const span: Tracer.Span = {
          _tag: "Span",
          name,
          spanId: "0",
          traceId: "0",
          parent,
          context,
          links,
          sampled: true,
          kind,
          attributes,
          status: { _tag: "Started", startTime },
          end: () => {
            const text = attributes.get("db.query.text")
            if (typeof text === "string" && text.startsWith("INSERT")) Effect.runSync(Ref.update(inserts, (n) => n + 1))
          },
          attribute: (key, value) => void attributes.set(key, value),
          event: () => {},
          addLinks: () => {}
        }
        return span
      },
      context: (run) => run()
    })
    const result = yield* Effect.withTracer(effect, tracer)
    return { result, inserts: yield* Ref.get(inserts) }
  })

describe("group commit", () => {
  it.effect("enqueues at one time share few writes, and each gets its own id back", () =>
    Effect.gen(function* () {
      const { inserts, result } = yield* countingInserts(
        Effect.forEach(range(50), (n) => JobQueue.enqueue(Send, { to: `${n}` }), { concurrency: "unbounded" })
      )
      assert.isAtMost(inserts, 3)
      const rows = yield* Effect.forEach(result, (id) => JobQueue.get(id))
      assert.deepStrictEqual(
        rows.map((row) => row.payload),
        range(50).map((n) => JSON.stringify({ to: `${n}` }))
      )
    }).pipe(Effect.provide(services))
  )

  it.effect("one after the other, each is its own write", () =>
    Effect.gen(function* () {
      const { inserts } = yield* countingInserts(
        Effect.forEach(range(5), (n) => JobQueue.enqueue(Send, { to: `${n}` }))
      )
      assert.strictEqual(inserts, 5)
    }).pipe(Effect.provide(services))
  )

  it.effect("switched off, each is its own write also then", () =>
    Effect.gen(function* () {
      const { inserts } = yield* countingInserts(
        Effect.forEach(range(20), (n) => JobQueue.enqueue(Send, { to: `${n}` }), { concurrency: "unbounded" })
      )
      assert.strictEqual(inserts, 20)
    }).pipe(
      Effect.provide(
        JobQueue.layer.pipe(Layer.provideMerge(SqliteStorage.layer({ filename: ":memory:", groupCommit: false })))
      )
    )
  )

  it.effect("what the database refuses of one is no matter of the others", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TRIGGER poison BEFORE INSERT ON dbjobq_jobs WHEN NEW.queue = 'poison'
        BEGIN SELECT RAISE(ABORT, 'not here'); END`
      const answers = yield* Effect.forEach(
        range(20),
        (n) => Effect.either(JobQueue.enqueue(Send, { to: `${n}` }, n === 7 ? { queue: "poison" } : {})),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        answers.flatMap((answer, n) => (Either.isLeft(answer) ? [[n, answer.left._tag]] : [])),
        [[7, "StorageError"]]
      )
      assert.strictEqual((yield* JobQueue.list({ limit: 200 })).jobs.length, 19)
    }).pipe(Effect.provide(services))
  )

  it.effect("whoever joins is heard, at whatever point the runtime makes his fiber pause", () =>
    Effect.gen(function* () {
      // a fiber is made to pause after some 2,000 effects: the enqueue is moved over that point step by step
      for (let steps = 1_960; steps <= 2_060; steps++) {
        const busy = Effect.gen(function* () {
          for (let i = 0; i < steps; i++) yield* Effect.sync(() => {})
        })
        yield* Effect.all(
          [JobQueue.enqueue(Send, { to: "first" }), Effect.zipRight(busy, JobQueue.enqueue(Send, { to: "second" }))],
          { concurrency: "unbounded" }
        )
      }
      assert.deepStrictEqual(yield* JobQueue.counts, [{ queue: "default", state: "pending", count: 202 }])
    }).pipe(Effect.provide(services))
  )

  it.effect("equal unique keys at one time: one is created, all are told its id", () =>
    Effect.gen(function* () {
      const answers = yield* Effect.forEach(
        range(20),
        () => JobQueue.enqueueOrGet(Send, { to: "ada" }, { uniqueKey: "ada" }),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(new Set(answers.map(({ id }) => id)).size, 1)
      assert.strictEqual(answers.filter(({ created }) => created).length, 1)
    }).pipe(Effect.provide(services))
  )

  it.effect("one inside a transaction goes with the transaction, whatever others do meanwhile", () =>
    Effect.gen(function* () {
      const rolledBack = JobQueue.withTransaction(
        Effect.zipRight(JobQueue.enqueue(Send, { to: "nobody" }), Effect.fail("changed my mind"))
      )
      const [exit] = yield* Effect.all(
        [
          Effect.exit(rolledBack),
          Effect.forEach(range(10), (n) => JobQueue.enqueue(Send, { to: `${n}` }), { concurrency: "unbounded" })
        ],
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(Exit.causeOption(exit).pipe(Option.map(({ _tag }) => _tag)), Option.some("Fail"))
      const { jobs } = yield* JobQueue.list({ limit: 200 })
      assert.strictEqual(jobs.length, 10)
      assert.isFalse(jobs.some(({ payload }) => payload.includes("nobody")))
    }).pipe(Effect.provide(services))
  )
})
