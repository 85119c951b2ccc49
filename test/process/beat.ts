/** A worker process that fires whatever schedules it finds, and says when it is ready. */
import { appendFileSync } from "node:fs"
import { NodeRuntime } from "@effect/platform-node"
import { Job, Worker } from "dbjobq"
import { Effect, Layer } from "effect"
import { Beat } from "./jobs.js"
import { storage } from "./storage.js"

const [, , spec = "", ledger = ""] = process.argv

const note = (line: string) => Effect.sync(() => appendFileSync(ledger, `${line}\n`))

const BeatLive = Beat.toLayer(() =>
  Effect.flatMap(Job.CurrentJob, ({ id, schedule }) => note(`${schedule?.id} ${schedule?.slot} ${id}`))
)

const Main = Worker.layer([Beat], {
  lease: "3 seconds",
  pollInterval: "200 millis",
  maxPollInterval: "1 second",
  schedulePollInterval: "1 second",
  shutdownTimeout: "2 seconds"
}).pipe(Layer.provide(BeatLive), Layer.provide(storage(spec)))

NodeRuntime.runMain(Effect.scoped(Effect.zipRight(Layer.build(Main), Effect.zipRight(note("ready"), Effect.never))))
