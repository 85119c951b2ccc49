// PostgreSQL in a schema of its own. DATABASE_URL says where; workers are woken by NOTIFY, so nothing waits for a poll.
import { Clock, Config, Console, Effect, Layer, Schema } from "effect"
import { SqlClient } from "@effect/sql"
import { Job, JobQueue, Worker } from "dbjobq"
import * as PgStorage from "dbjobq/storage/PgStorage"

const Greet = Job.make("Greet", { payload: { name: Schema.String }, success: Schema.String })

const GreetLive = Greet.toLayer(({ name }) => Effect.succeed(`hello ${name}`))

const program = Effect.gen(function* () {
  const before = yield* Clock.currentTimeMillis
  const ids = yield* JobQueue.enqueueAll(Greet, [{ name: "Ann" }, { name: "Bob" }, { name: "Cid" }])
  for (const id of ids) yield* Console.log(yield* JobQueue.join(Greet, id))
  yield* Console.log(`done in ${(yield* Clock.currentTimeMillis) - before} ms`)

  const sql = yield* SqlClient.SqlClient
  const rows = yield* sql<{ state: string; jobs: string }>`
    SELECT state, count(*) AS jobs FROM dbjobq_example.dbjobq_jobs GROUP BY state`
  for (const { state, jobs } of rows) yield* Console.log(`${state}: ${jobs}`)
})

const Main = Worker.layer([Greet]).pipe(
  Layer.provide(GreetLive),
  Layer.provideMerge(JobQueue.layer),
  Layer.provideMerge(
    PgStorage.layerConfig({
      url: Config.string("DATABASE_URL").pipe(Config.withDefault("postgres://postgres@127.0.0.1:5432/test")),
      schema: Config.succeed("dbjobq_example")
    })
  )
)

await Effect.runPromise(Effect.provide(program, Main))
