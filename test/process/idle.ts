/** A worker process that hardly ever looks by itself, and tells its parent of each handler's start. */
import { NodeRuntime } from "@effect/platform-node"
import { Job, Worker } from "dbjobq"
import { Clock, Effect, Layer } from "effect"
import { Beat } from "./jobs.js"
import { storage } from "./storage.js"

const [, , spec = ""] = process.argv

const tell = (id: string) =>
  Effect.flatMap(Clock.currentTimeMillis, (at) =>
    Effect.sync(() => process.send?.({ id, at, cpu: process.cpuUsage() }))
  )

const Main = Worker.layer([Beat], {
  pollInterval: "1 hour",
  maxPollInterval: "1 hour",
  schedulePollInterval: "1 hour"
}).pipe(
  Layer.provide(Beat.toLayer(() => Effect.flatMap(Job.CurrentJob, ({ id }) => tell(id)))),
  Layer.provide(storage(spec))
)

process.on("message", () => Effect.runFork(tell("cpu")))
NodeRuntime.runMain(Effect.scoped(Effect.zipRight(Layer.build(Main), Effect.zipRight(tell("ready"), Effect.never))))
