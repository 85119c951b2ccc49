/**
 * Three numbers per storage: enqueue one by one, enqueueAll, and a drain of no-op jobs with finished rows kept.
 *
 * npm run bench -- [memory] [sqlite] [sqlite-normal] [postgres] [mysql]
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { SqlClient } from "@effect/sql"
import * as MysqlClient from "@effect/sql-mysql2/MysqlClient"
import { Job, JobQueue, type JobStorage, Worker } from "dbjobq"
import * as MemoryStorage from "dbjobq/storage/MemoryStorage"
import * as MysqlStorage from "dbjobq/storage/MysqlStorage"
import * as PgStorage from "dbjobq/storage/PgStorage"
import * as SqliteStorage from "dbjobq/storage/SqliteStorage"
import { Clock, Console, Deferred, Effect, Layer, Redacted, Schema, Stream } from "effect"

const Noop = Job.make("noop", { payload: { n: Schema.Number, kind: Schema.String } })
const payloads = (count: number) => Array.from({ length: count }, (_, n) => ({ n, kind: "bench" }))

const singles = 1_000
const bulk = 10_000
const drained = Number(process.env["DBJOBQ_BENCH_JOBS"] ?? 20_000)

const rate = <A, E, R>(count: number, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const from = yield* Clock.currentTimeNanos
    yield* effect
    const seconds = Number((yield* Clock.currentTimeNanos) - from) / 1e9
    return Math.round(count / seconds)
  })

/** Empties a queue again, so that the drain finds its own jobs alone. */
const remove = (queue: string) =>
  Stream.runForEach(JobQueue.stream({ queues: [queue] }), ({ id }) => JobQueue.cancel(id))

const bench = <E>(name: string, storage: Layer.Layer<JobStorage.JobStorage, E>) =>
  Effect.gen(function* () {
    const one = yield* rate(
      singles,
      Effect.forEach(payloads(singles), (payload) => JobQueue.enqueue(Noop, payload, { queue: "singles" }))
    )
    yield* remove("singles")
    const many = yield* rate(bulk, JobQueue.enqueueAll(Noop, payloads(bulk), { queue: "bulk" }))
    yield* remove("bulk")
    if (drained > 0) {
      for (let done = 0; done < drained; done += bulk) {
        yield* JobQueue.enqueueAll(Noop, payloads(Math.min(bulk, drained - done)), { queue: "drain" })
      }
    }
    let left = drained
    const finished = yield* Deferred.make<void>()
    const live = Noop.toLayer(() => {
      left--
      return left === 0 ? Effect.asVoid(Deferred.succeed(finished, undefined)) : Effect.void
    })
    const speed = yield* Effect.scoped(
      rate(
        left,
        Effect.gen(function* () {
          const worker = yield* Worker.make([Noop], { concurrency: 10 }).pipe(Effect.provide(live))
          yield* Deferred.await(finished)
          yield* worker.awaitIdle
        })
      )
    )
    const counts = yield* JobQueue.counts
    const completed = counts.filter(({ state }) => state === "completed").reduce((sum, { count }) => sum + count, 0)
    const verified = completed >= drained ? "all completed" : `ONLY ${completed} of ${drained} COMPLETED`
    const rss = Math.round(process.memoryUsage().rss / 1_048_576)
    yield* Console.log(`| ${name} | ${one} | ${many} | ${speed} | ${verified} | ${rss} |`)
  }).pipe(Effect.provide(JobQueue.layer.pipe(Layer.provideMerge(storage))))

const sqlite = (synchronous: "full" | "normal") =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "dbjobq-bench-"))),
    (dir) => bench(`sqlite ${synchronous}`, SqliteStorage.layer({ filename: join(dir, "jobs.db"), synchronous })),
    (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
  )

const url = process.env["DBJOBQ_TEST_PG_URL"] ?? "postgres://postgres@127.0.0.1:5432/test"
const postgres = Effect.gen(function* () {
  const schema = `dbjobq_bench_${process.pid}`
  const storage = PgStorage.layer({ url, schema })
  yield* bench("postgres", storage).pipe(
    Effect.ensuring(
      Effect.orDie(
        Effect.flatMap(SqlClient.SqlClient, (sql) => sql`DROP SCHEMA ${sql(schema)} CASCADE`).pipe(
          Effect.provide(storage)
        )
      )
    )
  )
})

const mysqlUrl = process.env["DBJOBQ_TEST_MYSQL_URL"] ?? "mysql://root@127.0.0.1:3306/test"
const mysql = Effect.gen(function* () {
  const database = `dbjobq_bench_${process.pid}`
  const client = MysqlClient.layer({ url: Redacted.make(mysqlUrl) })
  const server = Effect.map(
    MysqlClient.MysqlClient,
    (sql) => (statement: string) => sql.unsafe(`${statement} ${database}`)
  )
  const url = new URL(mysqlUrl)
  url.pathname = `/${database}`
  yield* Effect.flatMap(server, (run) =>
    Effect.acquireUseRelease(
      run("CREATE DATABASE"),
      () => bench("mysql", MysqlStorage.layer({ url: url.href })),
      () => Effect.orDie(run("DROP DATABASE"))
    )
  ).pipe(Effect.provide(client))
})

const runs = {
  memory: bench("memory", MemoryStorage.layer),
  sqlite: sqlite("full"),
  "sqlite-normal": sqlite("normal"),
  postgres,
  mysql
}

const wanted = process.argv.slice(2)
const Main = Effect.gen(function* () {
  yield* Console.log(`| storage | enqueue /s | enqueueAll ${bulk} /s | drain ${drained} /s | rows | RSS MB |`)
  yield* Console.log("|---|---:|---:|---:|---|---:|")
  for (const [name, run] of Object.entries(runs)) {
    if (wanted.length === 0 || wanted.includes(name)) yield* run
  }
})

Effect.runPromise(Main)
