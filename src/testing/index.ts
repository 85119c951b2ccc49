/**
 * For tests: a queue in memory, helpers to look into it, and the suites that every storage must pass.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as Job from "../Job.js"
import type { InvalidOption, StorageError } from "../JobError.js"
import * as JobQueue from "../JobQueue.js"
import type { JobStorage } from "../JobStorage.js"
import * as MemoryStorage from "../storage/MemoryStorage.js"
import { Worker } from "../Worker.js"

export { type ContractOptions, storageContract } from "./contract.js"
export { type ModelOptions, storageModel } from "./model.js"

/**
 * A queue on a new, empty storage in memory. Its clock is Effect's, so `TestClock` drives it.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<JobQueue.JobQueue | JobStorage> = Layer.provideMerge(
  JobQueue.layer,
  MemoryStorage.layer
)

/**
 * Returns once the worker holds nothing and finds nothing due.
 *
 * @since 0.1.0
 * @category helpers
 */
export const drain: Effect.Effect<void, never, Worker> = Effect.flatMap(Worker, (worker) => worker.awaitIdle)

/**
 * The decoded payloads of the unfinished jobs of this definition, in ascending order of their ids.
 *
 * @since 0.1.0
 * @category helpers
 */
export const enqueued = <J extends Job.Any>(
  job: J
): Effect.Effect<
  ReadonlyArray<Job.Payload<J>>,
  ParseResult.ParseError | InvalidOption | StorageError,
  JobQueue.JobQueue
> =>
  Effect.gen(function* () {
    const rows = yield* Stream.runCollect(
      JobQueue.stream({ names: [job.name], states: ["scheduled", "pending", "running"] })
    )
    const schema = Schema.make<Job.Payload<J>, unknown>(job.payloadSchema.ast)
    const decode = Schema.decode(Schema.parseJson(schema))
    return yield* Effect.forEach(Chunk.toReadonlyArray(rows), (row) => decode(row.payload))
  })
