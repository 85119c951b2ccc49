/** What a storage with a client of its own must do when the server stops to answer, on some connections or on all. */
import { SqlClient } from "@effect/sql"
import { assert, describe, it } from "@effect/vitest"
import { Job, JobQueue, Worker } from "dbjobq"
import { Context, Deferred, Duration, Effect, Exit, Layer, Schedule, Scope } from "effect"
import type { StorageError } from "../../src/JobError.js"
import { JobStorage, Transactional } from "../../src/JobStorage.js"
import { job } from "./jobs.js"
import { proxy } from "./proxy.js"

const Ping = Job.make("Ping")

export const halfOpenSuite = (
  label: string,
  options: {
    readonly defaultPort: number
    /** A place of its own: where, the name of the jobs table there, and the storage. */
    readonly fresh: Effect.Effect<{
      readonly url: string
      readonly table: string
      readonly layer: (
        url: string,
        queryTimeout: Duration.DurationInput
      ) => Layer.Layer<JobStorage | Transactional | SqlClient.SqlClient, StorageError>
    }>
    /** A statement that takes so long. */
    readonly sleep: (seconds: number) => string
    /** What the server has under way on that table, apart from this query. */
    readonly underWay: (table: string) => string
  }
) =>
  describe(`${label}: a server that does not answer`, () => {
    const built = (queryTimeout: Duration.DurationInput) =>
      Effect.gen(function* () {
        const { layer, table, url } = yield* options.fresh
        const between = yield* proxy(url, options.defaultPort)
        const context = yield* Layer.build(layer(between.url, queryTimeout))
        return {
          freeze: between.freeze,
          context,
          storage: Context.get(context, JobStorage),
          transactional: Context.get(context, Transactional),
          sql: Context.get(context, SqlClient.SqlClient),
          table,
          direct: layer(url, "30 seconds")
        }
      })

    const late = <A, R>(operation: string, effect: Effect.Effect<A, StorageError, R>) =>
      Effect.gen(function* () {
        const [took, error] = yield* Effect.timed(Effect.flip(effect))
        assert.isBelow(Duration.toMillis(took), 2_500)
        assert.strictEqual(error._tag, "StorageError")
        assert.strictEqual(error.operation, operation)
        assert.isTrue(error.isTransient)
        assert.include(error.message, `${operation}: no answer from the server within 500 ms`)
      })

    /** Each stuck connection of the pool is met once at most. */
    const recovers = <A, R>(effect: Effect.Effect<A, StorageError, R>) =>
      Effect.retry(effect, { times: 3, while: (error) => error.isTransient })

    it.scopedLive(
      "fails in time, also where nothing may interrupt, and its connection is not used again",
      () =>
        Effect.gen(function* () {
          const { freeze, storage } = yield* built("500 millis")
          const [kept] = yield* storage.insert([job()])
          yield* freeze
          const outcome = { id: kept?.id ?? "", token: 1, to: "fail", failure: "{}" } as const
          yield* late("settle", Effect.uninterruptible(storage.settle([outcome])))
          yield* recovers(storage.counts)
        }),
      20_000
    )

    it.scopedLive(
      "a transaction whose commit is not answered fails in time",
      () =>
        Effect.gen(function* () {
          const { freeze, storage, transactional } = yield* built("500 millis")
          yield* late("commit", transactional.withTransaction(Effect.zipRight(storage.insert([job()]), freeze)))
          yield* recovers(storage.counts)
        }),
      20_000
    )

    it.scopedLive(
      "who gives up sooner leaves no stuck connection to the next",
      () =>
        Effect.gen(function* () {
          const { freeze, storage } = yield* built("30 seconds")
          yield* storage.counts
          yield* freeze
          const soon = Effect.timeoutOption(Effect.disconnect(storage.counts), "300 millis")
          yield* Effect.retry(
            Effect.filterOrFail(soon, (answer) => answer._tag === "Some"),
            { times: 3 }
          )
        }),
      20_000
    )

    it.scopedLive(
      "closing does not wait for it",
      () =>
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          const { freeze, sql, storage } = yield* Scope.extend(built("30 seconds"), scope)
          // so that some connections are idle, one is busy, and one busy with a statement of the application
          yield* Effect.all([storage.counts, storage.counts, storage.counts], { concurrency: "unbounded" })
          yield* freeze
          yield* Effect.fork(storage.counts)
          yield* Effect.fork(sql.unsafe(options.sleep(0)))
          yield* Effect.sleep("50 millis")
          const [took] = yield* Effect.timed(Scope.close(scope, Exit.void))
          assert.isBelow(Duration.toMillis(took), 5_000)
        }),
      20_000
    )

    it.scopedLive(
      "statements of the application are not bounded, inside the queue's transactions either",
      () =>
        Effect.gen(function* () {
          const { sql, storage, transactional } = yield* built("500 millis")
          const long = sql.unsafe(options.sleep(1))
          yield* long
          yield* transactional.withTransaction(Effect.all([long, storage.insert([job()]), long]))
          assert.strictEqual((yield* storage.counts)[0]?.count, 1)
        }),
      20_000
    )

    it.scopedLive(
      "what waited too long for a lock does not go on waiting in the server",
      () =>
        Effect.gen(function* () {
          const { direct, storage, table } = yield* built("500 millis")
          const made = job()
          yield* storage.insert([made])
          const locked = yield* Deferred.make<void>()
          const free = yield* Deferred.make<void>()
          yield* Effect.gen(function* () {
            const sql = yield* SqlClient.SqlClient
            yield* Effect.fork(
              sql.withTransaction(
                Effect.gen(function* () {
                  yield* sql.unsafe(`SELECT id FROM ${table} FOR UPDATE`)
                  yield* Deferred.succeed(locked, undefined)
                  yield* Deferred.await(free)
                })
              )
            )
            yield* Deferred.await(locked)
            yield* late("cancel", storage.cancel([made.id]))
            yield* Effect.retry(
              Effect.filterOrFail(sql.unsafe(options.underWay(table)), (rows) => rows.length === 0),
              Schedule.spaced("50 millis").pipe(Schedule.upTo("3 seconds"))
            )
            yield* Deferred.succeed(free, undefined)
          }).pipe(Effect.provide(direct))
          assert.strictEqual((yield* storage.get([made.id]))[0]?.state, "pending")
        }),
      20_000
    )

    it.scopedLive(
      "a worker says so, and goes on",
      () =>
        Effect.gen(function* () {
          const { context, direct, freeze } = yield* built("500 millis")
          yield* Effect.gen(function* () {
            const ran = yield* Deferred.make<void>()
            const worker = yield* Worker.make([Ping], {
              pollInterval: "100 millis",
              maxPollInterval: "200 millis"
            }).pipe(Effect.provide(Ping.toLayer(() => Effect.asVoid(Deferred.succeed(ran, undefined)))))
            yield* worker.awaitIdle
            yield* freeze
            yield* Effect.retry(
              Effect.filterOrFail(worker.status, ({ health }) => Object.values(health).some(({ ok }) => !ok)),
              Schedule.spaced("20 millis").pipe(Schedule.upTo("5 seconds"))
            )
            yield* JobQueue.enqueue(Ping, undefined).pipe(Effect.provide(JobQueue.layer), Effect.provide(direct))
            yield* Deferred.await(ran)
          }).pipe(Effect.provide(context))
        }).pipe(Effect.timeout("15 seconds")),
      20_000
    )
  })
