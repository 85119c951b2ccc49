/**
 * Enqueue call to handler start on an idle PostgreSQL worker, in milliseconds: p50, p95, p99 of 100 jobs.
 *
 * npx tsx bench/latency.ts
 */
import { SqlClient } from "@effect/sql"
import { Job, JobQueue, Worker } from "dbjobq"
import * as PgStorage from "dbjobq/storage/PgStorage"
import { Clock, Console, Deferred, Effect, Layer, Ref } from "effect"

const Ping = Job.make("ping")
const samples = 100
const url = process.env.DBJOBQ_TEST_PG_URL ?? "postgres://postgres@127.0.0.1:5432/test"
const schema = `dbjobq_latency_${process.pid}`

const Main = Effect.gen(function* () {
  const waiting = yield* Ref.make(yield* Deferred.make<bigint>())
  const live = Ping.toLayer(() =>
    Effect.flatMap(Ref.get(waiting), (started) =>
      Effect.asVoid(Effect.flatMap(Clock.currentTimeNanos, (now) => Deferred.succeed(started, now)))
    )
  )
  yield* Worker.make([Ping]).pipe(Effect.provide(live))
  yield* Effect.sleep("3 seconds")
  const times: Array<number> = []
  for (let n = 0; n < samples; n++) {
    const started = yield* Deferred.make<bigint>()
    yield* Ref.set(waiting, started)
    const from = yield* Clock.currentTimeNanos
    yield* JobQueue.enqueue(Ping)
    times.push(Number((yield* Deferred.await(started)) - from) / 1e6)
    yield* Effect.sleep("50 millis")
  }
  times.sort((a, b) => a - b)
  const at = (share: number) => times[Math.min(samples - 1, Math.floor(samples * share))]?.toFixed(1)
  yield* Console.log(`p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms`)
  const sql = yield* SqlClient.SqlClient
  yield* sql`DROP SCHEMA ${sql(schema)} CASCADE`
}).pipe(Effect.scoped, Effect.provide(JobQueue.layer.pipe(Layer.provideMerge(PgStorage.layer({ url, schema })))))

Effect.runPromise(Main)
