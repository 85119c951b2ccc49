import { Reactivity } from "@effect/experimental"
import { SqlClient } from "@effect/sql"
import { MysqlClient } from "@effect/sql-mysql2"
import { PgClient } from "@effect/sql-pg"
import { SqliteClient } from "@effect/sql-sqlite-node"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Job, JobQueue, JobStorage, Worker } from "dbjobq"
import * as MysqlStorage from "dbjobq/storage/MysqlStorage"
import * as PgStorage from "dbjobq/storage/PgStorage"
import * as SqlStorage from "dbjobq/storage/SqlStorage"
import * as SqliteStorage from "dbjobq/storage/SqliteStorage"
import { Context, Deferred, Effect, Exit, Layer, Logger, Option, Redacted, Ref, Schema, Scope } from "effect"
import { dropSchema, mysql, postgres, randomSchema } from "./storage/servers.js"

const Transfer = Job.make("Transfer", { payload: { amount: Schema.Number }, retry: { times: 0 } })

const suite = <E>(
  label: string,
  storage: Layer.Layer<JobStorage.JobStorage | JobStorage.Transactional | SqlClient.SqlClient, E>
) => {
  const services = JobQueue.layer.pipe(Layer.provideMerge(storage))
  const table = `ledger_${Math.random().toString(36).slice(2, 10)}`
  const write = (amount: number) =>
    Effect.flatMap(SqlClient.SqlClient, (sql) => sql`INSERT INTO ${sql(table)} (amount) VALUES (${amount})`)
  const amounts = Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Effect.map(sql<{ amount: number }>`SELECT amount FROM ${sql(table)} ORDER BY amount`, (rows) =>
      rows.map(({ amount }) => amount)
    )
  )
  const withTable = <A, Err, R>(body: Effect.Effect<A, Err, R>) =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE ${sql(table)} (amount INTEGER NOT NULL)`
      return yield* Effect.ensuring(body, Effect.orDie(sql`DROP TABLE ${sql(table)}`))
    })

  describe(`transactions on ${label}`, () => {
    it.scopedLive(
      "an enqueue commits and rolls back with the caller's own transaction, with nothing extra to call",
      () =>
        withTable(
          Effect.gen(function* () {
            const sql = yield* SqlClient.SqlClient
            const kept = yield* sql.withTransaction(
              Effect.zipRight(write(1), JobQueue.enqueue(Transfer, { amount: 1 }, { delay: "1 hour" }))
            )
            let lost = ""
            yield* Effect.exit(
              sql.withTransaction(
                Effect.gen(function* () {
                  yield* write(2)
                  lost = yield* JobQueue.enqueue(Transfer, { amount: 2 }, { delay: "1 hour" })
                  return yield* Effect.fail("changed my mind")
                })
              )
            )
            assert.deepStrictEqual(yield* amounts, [1])
            assert.strictEqual((yield* JobQueue.get(kept)).state, "scheduled")
            assert.strictEqual((yield* Effect.flip(JobQueue.get(lost)))._tag, "JobNotFound")
            yield* JobQueue.cancel(kept)
          })
        ).pipe(Effect.provide(services))
    )

    it.scopedLive("a worker started inside a transaction runs its jobs outside of it", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { inTransaction } = yield* JobStorage.Transactional
        const inside = yield* Deferred.make<boolean>()
        const live = Transfer.toLayer(() =>
          Effect.asVoid(Effect.flatMap(inTransaction, (value) => Deferred.succeed(inside, value)))
        )
        const worker = yield* Worker.make([Transfer], { autoStart: false, pollInterval: "50 millis" }).pipe(
          Effect.provide(live)
        )
        yield* Effect.exit(sql.withTransaction(Effect.zipRight(worker.start, Effect.fail("rolled back"))))
        const id = yield* JobQueue.enqueue(Transfer, { amount: 1 })
        assert.isFalse(yield* Deferred.await(inside))
        yield* JobQueue.join(Transfer, id)
      }).pipe(Effect.provide(services))
    )

    it.scopedLive("a handler whose layer was built inside a transaction runs outside of it", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const inside = yield* Deferred.make<boolean>()
        const live = Transfer.toLayer(() =>
          Effect.gen(function* () {
            const connection = yield* Effect.serviceOption(SqlClient.TransactionConnection)
            yield* Deferred.succeed(inside, Option.isSome(connection))
          })
        )
        const worker = yield* sql.withTransaction(
          Worker.make([Transfer], { autoStart: false, pollInterval: "50 millis" }).pipe(Effect.provide(live))
        )
        yield* worker.start
        const id = yield* JobQueue.enqueue(Transfer, { amount: 1 })
        assert.isFalse(yield* Deferred.await(inside))
        yield* JobQueue.join(Transfer, id)
      }).pipe(Effect.provide(services))
    )

    it.scopedLive("join refuses to wait inside the transaction that enqueued", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(
          JobQueue.withTransaction(
            Effect.flatMap(JobQueue.enqueue(Transfer, { amount: 1 }), (id) => JobQueue.join(Transfer, id))
          )
        )
        assert.strictEqual(error._tag, "InvalidOption")
      }).pipe(Effect.provide(services))
    )

    it.scopedLive("a transactional handler's writes and its completion commit together, or not at all", () =>
      withTable(
        Effect.gen(function* () {
          const live = Transfer.toLayer(
            ({ amount }) =>
              Effect.zipRight(Effect.orDie(write(amount)), amount < 0 ? Effect.die("overdrawn") : Effect.void),
            { transactional: true }
          )
          const worker = yield* Worker.make([Transfer]).pipe(Effect.provide(live))
          const good = yield* JobQueue.enqueue(Transfer, { amount: 5 })
          const bad = yield* JobQueue.enqueue(Transfer, { amount: -5 })
          yield* worker.awaitIdle
          assert.deepStrictEqual(yield* amounts, [5])
          assert.strictEqual((yield* JobQueue.get(good)).state, "completed")
          assert.strictEqual((yield* JobQueue.get(bad)).state, "failed")
        })
      ).pipe(Effect.provide(services))
    )

    it.scopedLive("a transactional handler that lost its lease commits nothing", () =>
      withTable(
        Effect.gen(function* () {
          const storage = yield* JobStorage.JobStorage
          const started = yield* Deferred.make<void>()
          const go = yield* Deferred.make<void>()
          const live = Transfer.toLayer(
            ({ amount }) =>
              Effect.zipRight(
                Effect.zipRight(Deferred.succeed(started, undefined), Deferred.await(go)),
                Effect.orDie(write(amount))
              ),
            { transactional: true }
          )
          const worker = yield* Worker.make([Transfer], { lease: "1 second", sweepInterval: "1 hour" }).pipe(
            Effect.provide(live)
          )
          const id = yield* JobQueue.enqueue(Transfer, { amount: 7 })
          yield* Deferred.await(started)
          if (label !== "SQLite") {
            // as if another worker had taken it: its outcome is recorded over this holder's head
            const { token } = yield* JobQueue.get(id)
            assert.deepStrictEqual(yield* storage.settle([{ id, token, to: "fail", failure: "{}" }]), [true])
            yield* Deferred.succeed(go, undefined)
            yield* worker.awaitIdle
          } else {
            // one writer: the handler's transaction keeps its lease from being renewed, so it is ended before
            yield* worker.awaitIdle
          }
          assert.deepStrictEqual(yield* amounts, [])
          assert.strictEqual((yield* JobQueue.get(id)).state, "failed")
        })
      ).pipe(Effect.provide(services))
    )

    it.scopedLive("inside another database's transaction the queue steps out of it, and says so once", () =>
      Effect.gen(function* () {
        const warnings = yield* Ref.make<ReadonlyArray<string>>([])
        const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
          if (logLevel._tag === "Warning") Effect.runSync(Ref.update(warnings, (all) => [...all, String(message)]))
        })
        const other = yield* SqliteClient.make({ filename: ":memory:" }).pipe(Effect.provide(Reactivity.layer))
        const enqueue = JobQueue.enqueue(Transfer, { amount: 3 }, { delay: "1 hour" })
        const ids = yield* Ref.make<ReadonlyArray<string>>([])
        const exit = yield* other
          .withTransaction(
            Effect.gen(function* () {
              yield* Ref.set(ids, [yield* enqueue, yield* JobQueue.withTransaction(enqueue)])
              return yield* Effect.fail("rolled back")
            })
          )
          .pipe(Effect.exit, Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
        assert.deepStrictEqual(exit, Exit.fail("rolled back"))
        for (const id of yield* Ref.get(ids)) assert.strictEqual((yield* JobQueue.get(id)).state, "scheduled")
        const said = yield* Ref.get(warnings)
        assert.strictEqual(said.length, 1)
        assert.include(said[0], (yield* JobStorage.JobStorage).capabilities.storage)
      }).pipe(Effect.provide(services))
    )

    it.scopedLive("enqueueAll with an id of another job's writes none, outside and inside a transaction", () =>
      Effect.gen(function* () {
        const Other = Job.make("Other")
        const taken = yield* JobQueue.enqueue(Other, undefined, { delay: "1 hour" })
        const refused = Effect.flip(
          JobQueue.enqueueAll(Transfer, [{ amount: 1 }, { amount: 2 }, { amount: 3 }], ({ amount }) => ({
            queue: "refused",
            ...(amount === 2 ? { id: taken } : {})
          }))
        )
        const error = yield* refused
        assert.deepInclude(error, { _tag: "InvalidOption", field: "id", index: 1 })
        assert.deepStrictEqual((yield* JobQueue.list({ queues: ["refused"] })).jobs, [])
        yield* JobQueue.withTransaction(Effect.zipRight(refused, JobQueue.cancel(taken)))
        assert.deepStrictEqual((yield* JobQueue.list({ queues: ["refused"] })).jobs, [])
        assert.strictEqual((yield* JobQueue.get(taken)).state, "cancelled")
      }).pipe(Effect.provide(services))
    )

    it.scopedLive("a failing effect rolls back the whole of JobQueue.withTransaction", () =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(
          JobQueue.withTransaction(
            Effect.zipRight(JobQueue.enqueueAll(Transfer, [{ amount: 1 }], { queue: "rolled" }), Effect.fail("no"))
          )
        )
        assert.deepStrictEqual(exit, Exit.fail("no"))
        assert.deepStrictEqual((yield* JobQueue.list({ queues: ["rolled"] })).jobs, [])
      }).pipe(Effect.provide(services))
    )
  })
}

const onTheApplicationsClient = <R>(
  label: string,
  storage: Layer.Layer<JobStorage.JobStorage | JobStorage.Transactional, unknown, R>,
  client: Layer.Layer<R | SqlClient.SqlClient, unknown>,
  another: Layer.Layer<SqlClient.SqlClient, unknown>
) =>
  describe(`transactions on ${label} of the application`, () => {
    const services = JobQueue.layer.pipe(Layer.provideMerge(storage), Layer.provideMerge(client))
    const enqueue = JobQueue.enqueue(Transfer, { amount: 3 }, { delay: "1 hour" })
    const rolledBack = (sql: Pick<SqlClient.SqlClient, "withTransaction">) =>
      Effect.gen(function* () {
        const ids: Array<string> = []
        yield* Effect.exit(
          sql.withTransaction(
            Effect.gen(function* () {
              ids.push(yield* enqueue, yield* JobQueue.withTransaction(enqueue))
              return yield* Effect.fail("rolled back")
            })
          )
        )
        return yield* Effect.forEach(ids, (id) => Effect.isSuccess(JobQueue.get(id)))
      })

    it.scopedLive("an enqueue is part of its transactions, however they are opened", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const own = SqlClient.makeWithTransaction({
          transactionTag: SqlClient.TransactionConnection,
          spanAttributes: [],
          acquireConnection: Effect.flatMap(Scope.make(), (scope) =>
            Effect.map(Scope.extend(sql.reserve, scope), (connection) => [scope, connection] as const)
          ),
          begin: (connection) => connection.executeUnprepared("BEGIN", [], undefined),
          savepoint: (connection, id) => connection.executeUnprepared(`SAVEPOINT s${id}`, [], undefined),
          commit: (connection) => connection.executeUnprepared("COMMIT", [], undefined),
          rollback: (connection) => connection.executeUnprepared("ROLLBACK", [], undefined),
          rollbackSavepoint: (connection, id) => connection.executeUnprepared(`ROLLBACK TO s${id}`, [], undefined)
        })
        for (const one of [sql, sql.withoutTransforms(), { withTransaction: own }]) {
          assert.deepStrictEqual(yield* rolledBack(one), [false, false])
        }
      }).pipe(Effect.provide(services))
    )

    it.scopedLive("inside a transaction of another client of the same driver it steps out, and says so once", () =>
      Effect.gen(function* () {
        const warnings = yield* Ref.make<ReadonlyArray<string>>([])
        const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
          if (logLevel._tag === "Warning") Effect.runSync(Ref.update(warnings, (all) => [...all, String(message)]))
        })
        const other = Context.get(yield* Layer.build(another), SqlClient.SqlClient)
        const kept = yield* rolledBack(other).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
        assert.deepStrictEqual(kept, [true, true])
        assert.strictEqual((yield* Ref.get(warnings)).length, 1)
      }).pipe(Effect.provide(services))
    )
  })

describe("a long transactional handler on SQLite", () => {
  it.scopedLive("its time does not pass while it waits for its turn", () =>
    Effect.gen(function* () {
      const live = Transfer.toLayer(() => Effect.sleep("150 millis"), { transactional: true })
      const ids = yield* JobQueue.enqueueAll(
        Transfer,
        Array.from({ length: 12 }, (_, amount) => ({ amount }))
      )
      const worker = yield* Worker.make([Transfer], { lease: "1500 millis", concurrency: 12 }).pipe(
        Effect.provide(live)
      )
      yield* worker.awaitIdle
      for (const id of ids) assert.deepInclude(yield* JobQueue.get(id), { state: "completed", attempt: 1, crashes: 0 })
    }).pipe(Effect.provide(JobQueue.layer.pipe(Layer.provideMerge(SqliteStorage.layer({ filename: ":memory:" })))))
  )

  it.scopedLive("times out before the jobs beside it lose their leases", () =>
    Effect.gen(function* () {
      const Slow = Job.make("Slow")
      const slept = (took: number) => Effect.promise(() => new Promise<void>((done) => void setTimeout(done, took)))
      const live = Layer.merge(
        Transfer.toLayer(() => Effect.sleep("1 minute"), { transactional: true }),
        Slow.toLayer(() => slept(3_000))
      )
      const worker = yield* Worker.make([Transfer, Slow], { lease: "1500 millis", sweepInterval: 100 }).pipe(
        Effect.provide(live)
      )
      const slow = yield* JobQueue.enqueue(Slow, undefined)
      const long = yield* JobQueue.enqueueAll(Transfer, [{ amount: 1 }, { amount: 2 }])
      yield* worker.awaitIdle
      const { attempt, crashes, state } = yield* JobQueue.get(slow)
      assert.deepStrictEqual({ attempt, crashes, state }, { attempt: 1, crashes: 0, state: "completed" })
      for (const id of long) {
        const row = yield* JobQueue.get(id)
        assert.deepInclude(row, { state: "failed", crashes: 0, attempt: 1 })
        assert.include(row.failure ?? "", "no result within 500 ms")
      }
    }).pipe(Effect.provide(JobQueue.layer.pipe(Layer.provideMerge(SqliteStorage.layer({ filename: ":memory:" })))))
  )
})

const inOneProcess = <E>(
  label: string,
  storage: Layer.Layer<JobStorage.JobStorage | JobStorage.Transactional | SqlClient.SqlClient, E>
) =>
  it.scopedLive(`an idle worker on ${label} hears of an enqueue at once, also of one inside a transaction`, () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const worker = yield* Worker.make([Transfer], { pollInterval: "1 hour", maxPollInterval: "1 hour" }).pipe(
        Effect.provide(Transfer.toLayer(() => Effect.void))
      )
      yield* worker.awaitIdle
      const first = yield* JobQueue.enqueue(Transfer, { amount: 1 })
      yield* JobQueue.join(Transfer, first)
      const second = yield* JobQueue.withTransaction(JobQueue.enqueue(Transfer, { amount: 2 }))
      yield* JobQueue.join(Transfer, second)
      // the worker must not look before the commit and then sleep
      const slow = <A, Err, R>(enqueue: Effect.Effect<A, Err, R>) => Effect.tap(enqueue, () => Effect.sleep(100))
      const third = yield* sql.withTransaction(slow(JobQueue.enqueue(Transfer, { amount: 3 })))
      yield* JobQueue.join(Transfer, third)
      const fourth = yield* JobQueue.withTransaction(slow(JobQueue.enqueue(Transfer, { amount: 4 })))
      yield* JobQueue.join(Transfer, fourth)
    }).pipe(Effect.provide(JobQueue.layer.pipe(Layer.provideMerge(storage))))
  )

inOneProcess("SQLite", SqliteStorage.layer({ filename: ":memory:" }))

suite("SQLite", SqliteStorage.layer({ filename: ":memory:" }))

const upper = (name: string) => name.toUpperCase()
const memory = SqliteClient.layer({ filename: ":memory:", transformResultNames: upper })
onTheApplicationsClient<SqlClient.SqlClient>(
  "a SQLite client",
  SqlStorage.layer(),
  memory,
  SqliteClient.layer({ filename: ":memory:" })
)

const server = await postgres()
if (server === undefined) describe.skip("transactions on PostgreSQL: no server", () => {})
else {
  const schema = randomSchema()
  afterAll(async () => {
    await dropSchema(server.url, schema)
    await server.stop()
  })
  suite("PostgreSQL", PgStorage.layer({ url: server.url, schema }))
  const client = (transform?: (name: string) => string) =>
    PgClient.layer({ url: Redacted.make(server.url), transformResultNames: transform })
  onTheApplicationsClient<SqlClient.SqlClient>(
    "a PostgreSQL client",
    SqlStorage.layer({ schema }),
    client(upper),
    client()
  )
  onTheApplicationsClient("a PgClient", PgStorage.layerClient({ schema }), client(), client())
}

const mysqlServer = await mysql()
if (mysqlServer === undefined) describe.skip("transactions on MySQL: no server", () => {})
else {
  afterAll(mysqlServer.stop)
  const url = await mysqlServer.database()
  suite("MySQL", MysqlStorage.layer({ url }))
  const client = (transform?: (name: string) => string) =>
    MysqlClient.layer({ url: Redacted.make(url), transformResultNames: transform })
  onTheApplicationsClient<SqlClient.SqlClient>("a MySQL client", SqlStorage.layer(), client(upper), client())
  onTheApplicationsClient("a MysqlClient", MysqlStorage.layerClient(), client(), client())
  inOneProcess("MySQL", MysqlStorage.layer({ url }))
  inOneProcess(
    "the application's MySQL client",
    MysqlStorage.layerClient().pipe(Layer.provideMerge(MysqlClient.layer({ url: Redacted.make(url) })))
  )
}
