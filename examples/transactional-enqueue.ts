// An order and its job are written together or not at all; the handler's own writes commit with the job's completion.
import { SqlClient } from "@effect/sql"
import { Console, Effect, Layer, Schema } from "effect"
import { Job, JobQueue, Worker } from "dbjobq"
import * as SqliteStorage from "dbjobq/storage/SqliteStorage"

const Ship = Job.make("Ship", { payload: { order: Schema.Number } })

const ShipLive = Ship.toLayer(
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    return ({ order }: Job.Payload<typeof Ship>) =>
      Effect.asVoid(Effect.orDie(sql`UPDATE orders SET shipped = 1 WHERE id = ${order}`))
  }),
  { transactional: true }
)

const placeOrder = (id: number, customer: string) =>
  JobQueue.withTransaction(
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql`INSERT INTO orders (id, customer, shipped) VALUES (${id}, ${customer}, 0)`
      const job = yield* JobQueue.enqueue(Ship, { order: id })
      if (customer === "") return yield* Effect.fail("an order needs a customer")
      return job
    })
  )

const program = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, shipped INTEGER NOT NULL)`

  const job = yield* placeOrder(1, "Ann")
  const refused = yield* Effect.flip(placeOrder(2, ""))
  yield* Console.log(`order 2 was refused: ${refused}`)

  yield* JobQueue.join(Ship, job)
  const orders = yield* sql<{ id: number; customer: string; shipped: number }>`SELECT * FROM orders`
  for (const { id, customer, shipped } of orders) {
    yield* Console.log(`order ${id} of ${customer}: ${shipped === 1 ? "shipped" : "open"}`)
  }
  const { jobs } = yield* JobQueue.list()
  yield* Console.log(`${orders.length} order, ${jobs.length} job`)
})

const Main = Worker.layer([Ship], { pollInterval: "100 millis" }).pipe(
  Layer.provide(ShipLive),
  Layer.provideMerge(JobQueue.layer),
  Layer.provideMerge(SqliteStorage.layer({ filename: ":memory:" }))
)

await Effect.runPromise(Effect.provide(program, Main))
