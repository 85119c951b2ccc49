// Schedules: at a fixed rate, and by a cron expression in a time zone. Run with `npx tsx examples/recurring.ts`; it ends
// by itself.
import { Console, DateTime, Effect, Layer, Schema } from "effect"
import { Job, JobQueue, JobSchedule, Recurrence, Worker } from "dbjobq"
import * as SqliteStorage from "dbjobq/storage/SqliteStorage"

const Report = Job.make("Report", { payload: { of: Schema.String } })

const ReportLive = Report.toLayer(({ of }) =>
  Effect.flatMap(Job.CurrentJob, ({ schedule }) =>
    Console.log(`  report of ${of}${schedule?.slot === undefined ? ", by hand" : ""}`)
  )
)

const Pulse = JobSchedule.make("pulse", {
  job: Report,
  payload: { of: "the pulse" },
  recurrence: Recurrence.every("1 second"),
  overlap: "skip"
})

const Nightly = JobSchedule.make("nightly", {
  job: Report,
  payload: { of: "the night" },
  recurrence: Recurrence.unsafeCron("0 3 * * *", { timezone: "Europe/Oslo" }),
  missed: "skip",
  jitter: "5 minutes"
})

const fired = Effect.map(JobQueue.getSchedule("pulse"), (row) => row.fired)

const program = Effect.gen(function* () {
  yield* Console.log("the pulse is due every second:")
  yield* Effect.repeat(Effect.sleep("100 millis"), { until: () => Effect.map(fired, (count) => count >= 3) })

  yield* JobQueue.disableSchedule("pulse")
  const before = yield* fired
  yield* Effect.sleep("1500 millis")
  yield* Console.log(`disabled, it fired ${(yield* fired) - before} times`)

  yield* JobQueue.enableSchedule("pulse")
  yield* Effect.repeat(Effect.sleep("100 millis"), { until: () => Effect.map(fired, (count) => count > before) })
  yield* Console.log("enabled again, it goes on")

  yield* Console.log("the next nights:")
  for (const slot of yield* JobQueue.previewSchedule("nightly", 3)) {
    const oslo = DateTime.unsafeMakeZoned(slot, { timeZone: "Europe/Oslo" })
    yield* Console.log(`  ${DateTime.format(oslo, { locale: "en-GB", timeStyle: "short" })} in Oslo`)
  }

  yield* Console.log("and now, out of turn:")
  const id = yield* JobQueue.triggerSchedule("nightly")
  yield* JobQueue.join(Report, Job.id(Report, id))
})

const WorkerLive = Worker.layer([Report], { schedules: [Pulse, Nightly] })

const Main = WorkerLive.pipe(
  Layer.provide(ReportLive),
  Layer.provideMerge(JobQueue.layer),
  Layer.provide(SqliteStorage.layer({ filename: ":memory:" }))
)

await Effect.runPromise(Effect.provide(program, Main))
