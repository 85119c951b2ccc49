// The queue is one SQLite file. Run with `npm start`; it ends by itself.
import { Console, Effect, Layer, Schedule, Schema } from "effect"
import { Job, JobQueue, Worker } from "dbjobq"
import * as SqliteStorage from "dbjobq/storage/SqliteStorage"

const Email = Job.make("Email", { payload: { to: Schema.String }, success: Schema.String, queue: "mail" })

const Import = Job.make("Import", {
  payload: { file: Schema.String },
  error: Schema.String,
  retry: { times: 3, schedule: Schedule.spaced("200 millis") }
})

const EmailLive = Email.toLayer(({ to }) => Console.log(`  email to ${to}`).pipe(Effect.as(`sent to ${to}`)))

const ImportLive = Import.toLayer(({ file }) =>
  Effect.gen(function* () {
    const { attempt, maxAttempts } = yield* Job.CurrentJob
    yield* Console.log(`  import ${file}, attempt ${attempt} of ${maxAttempts}`)
    if (attempt < 3) return yield* Effect.fail("the file is locked")
  })
)

const program = Effect.gen(function* () {
  yield* Console.log("the mail queue is paused, so these three wait:")
  yield* JobQueue.pauseQueue("mail")
  yield* JobQueue.enqueue(Email, { to: "Ann, normal" })
  yield* JobQueue.enqueue(Email, { to: "Bob, urgent" }, { priority: 10 })
  const late = yield* JobQueue.enqueue(Email, { to: "Cid, two seconds later" }, { delay: "2 seconds" })

  yield* Console.log("another queue goes on; this job fails twice, then succeeds:")
  yield* JobQueue.join(Import, yield* JobQueue.enqueue(Import, { file: "people.csv" }))

  yield* Console.log("resumed, highest priority first:")
  yield* JobQueue.resumeQueue("mail")
  yield* Console.log(`the delayed job answered: ${yield* JobQueue.join(Email, late)}`)

  yield* Console.log("what the file holds:")
  for (const { queue, state, count } of yield* JobQueue.counts) yield* Console.log(`  ${queue}: ${count} ${state}`)
})

const WorkerLive = Worker.layer([Email, Import], { concurrency: 1, pollInterval: "100 millis" })

const Main = WorkerLive.pipe(
  Layer.provide([EmailLive, ImportLive]),
  Layer.provideMerge(JobQueue.layer),
  Layer.provide(SqliteStorage.layer({ filename: "jobs.db" }))
)

// leaving the scope stops the worker: running jobs finish, nothing new starts
await Effect.runPromise(Effect.provide(program, Main).pipe(Effect.andThen(Console.log("stopped, nothing is lost"))))
