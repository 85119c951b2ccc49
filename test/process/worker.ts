/** A worker process: starts and ends of its handlers go to an append-only ledger outside the database. */
import { appendFileSync } from "node:fs"
import { NodeRuntime } from "@effect/platform-node"
import { Job, JobQueue, Worker } from "dbjobq"
import { Effect, Layer } from "effect"
import { Kill, Slow } from "./jobs.js"
import { storage } from "./storage.js"

const [, , spec = "", ledger = "", lease = "1500"] = process.argv

const note = (what: string) =>
  Effect.flatMap(Job.CurrentJob, ({ attempt, id }) =>
    Effect.sync(() => appendFileSync(ledger, `${JSON.stringify({ what, id, attempt, pid: process.pid })}\n`))
  )

const SlowLive = Slow.toLayer(({ again, millis }) =>
  note("start").pipe(
    Effect.zipRight(
      Effect.flatMap(Job.CurrentJob, ({ attempt }) => Effect.sleep(attempt > 1 ? (again ?? millis) : millis))
    ),
    Effect.zipRight(note("end")),
    Effect.onInterrupt(() => note("interrupted"))
  )
)

const KillLive = Kill.toLayer(() =>
  Effect.zipRight(
    note("start"),
    Effect.sync(() => process.kill(process.pid, "SIGKILL"))
  )
)

const Main = Worker.layer([Slow, Kill], {
  concurrency: 4,
  lease: Number(lease),
  sweepInterval: 300,
  pollInterval: 100,
  maxPollInterval: 200,
  shutdownTimeout: 500
}).pipe(Layer.provide([SlowLive, KillLive]), Layer.provideMerge(JobQueue.layer), Layer.provideMerge(storage(spec)))

const ready = Effect.sync(() =>
  appendFileSync(ledger, `${JSON.stringify({ what: "ready", id: "", attempt: 0, pid: process.pid })}\n`)
)

NodeRuntime.runMain(Effect.scoped(Effect.zipRight(Layer.build(Main), Effect.zipRight(ready, Effect.never))))
