// A producer and two workers, three processes on one file. Started without an argument, this file starts the workers.
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Console, Effect, Layer, Schema } from "effect"
import { Job, JobQueue, Worker } from "dbjobq"
import * as SqliteStorage from "dbjobq/storage/SqliteStorage"

const Square = Job.make("Square", {
  payload: { n: Schema.Number },
  success: Schema.Struct({ square: Schema.Number, by: Schema.String })
})

const worker = (name: string, filename: string) =>
  Worker.layer([Square], { concurrency: 2, prefetch: 0, pollInterval: "100 millis" }).pipe(
    Layer.provide(Square.toLayer(({ n }) => Effect.delay(Effect.succeed({ square: n * n, by: name }), "100 millis"))),
    Layer.provide(SqliteStorage.layer({ filename }))
  )

const produce = (filename: string) =>
  Effect.gen(function* () {
    const ids = yield* JobQueue.enqueueAll(
      Square,
      Array.from({ length: 20 }, (_, n) => ({ n }))
    )
    const answers = yield* Effect.forEach(ids, (id) => JobQueue.join(Square, id), { concurrency: 5 })
    const names = [...new Set(answers.map((answer) => answer.by))].sort()
    for (const name of names) {
      const done = answers.filter((answer) => answer.by === name)
      yield* Console.log(`worker ${name}: ${done.map(({ square }) => square).join(" ")}`)
    }
    yield* Console.log(`${answers.length} jobs done by ${names.length} processes`)
  }).pipe(Effect.provide(Layer.provide(JobQueue.layer, SqliteStorage.layer({ filename }))))

// a worker stops gracefully on SIGTERM
const untilSigterm = Effect.async<void>((resume) => {
  process.once("SIGTERM", () => resume(Effect.void))
})

const start = (name: string, filename: string) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), name, filename], {
        stdio: ["ignore", "inherit", "inherit"]
      })
    ),
    (child: ChildProcess) =>
      Effect.async<void>((resume) => {
        child.once("exit", () => resume(Effect.void))
        child.kill("SIGTERM")
      })
  )

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "dbjobq-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const supervise = Effect.scoped(
  Effect.gen(function* () {
    const filename = join(yield* folder, "jobs.db")
    yield* start("A", filename)
    yield* start("B", filename)
    yield* produce(filename)
  })
)

const [name, filename] = process.argv.slice(2)
await Effect.runPromise(
  name === undefined || filename === undefined
    ? supervise
    : Effect.provide(untilSigterm, worker(name, filename)).pipe(Effect.andThen(Console.log(`worker ${name} stopped`)))
)
