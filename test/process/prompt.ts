/** A worker process that tells its parent the moment at which each job starts. */
import { NodeRuntime } from "@effect/platform-node"
import { Job, Worker } from "dbjobq"
import { Effect, Layer } from "effect"
import { Beat } from "./jobs.js"
import { storage } from "./storage.js"

const [, , spec = "", poll = ""] = process.argv

const BeatLive = Beat.toLayer(() =>
  Effect.map(Job.CurrentJob, ({ id }) => void process.send?.({ id, at: performance.timeOrigin + performance.now() }))
)

const Main = Worker.layer([Beat], { pollInterval: Number(poll), maxPollInterval: Number(poll) }).pipe(
  Layer.provide(BeatLive),
  Layer.provide(storage(spec))
)

NodeRuntime.runMain(Layer.launch(Main))
