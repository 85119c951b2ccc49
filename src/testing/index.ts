/**
 * For the tests of an application: a queue in memory, and helpers to look into it. Any test runner will do, or none.
 *
 * The suites that every storage must pass are in `dbjobq/testing/contract`.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type { Scope } from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestContext from "effect/TestContext"
import type { TestServices } from "effect/TestServices"
import type * as Job from "../Job.js"
import type { InvalidOption, StorageError } from "../JobError.js"
import * as JobQueue from "../JobQueue.js"
import type { JobStorage } from "../JobStorage.js"
import * as MemoryStorage from "../storage/MemoryStorage.js"
import { Worker } from "../Worker.js"

/**
 * A queue on a new, empty storage in memory. It follows Effect's clock: `TestClock` inside `run` and in the `it.effect`
 * of `@effect/vitest`, real time elsewhere.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<JobQueue.JobQueue | JobStorage> = Layer.provideMerge(
  JobQueue.layer,
  MemoryStorage.layer
)

/**
 * Runs a program on a queue of its own in memory, under a `TestClock` of its own: nothing happens before
 * `TestClock.adjust` makes it due. Workers and whatever else the program keeps in its scope are stopped at its end.
 *
 * @example
 * ```ts
 * import { Job, JobQueue } from "dbjobq"
 * import { enqueued, run } from "dbjobq/testing"
 * import { Effect, Schema } from "effect"
 *
 * const Greet = Job.make("Greet", { payload: { to: Schema.String } })
 *
 * const payloads = await Effect.runPromise(
 *   run(Effect.zipRight(JobQueue.enqueue(Greet, { to: "Ann" }), enqueued(Greet)))
 * )
 * ```
 *
 * @since 0.1.0
 * @category running
 */
export const run = <A, E, R>(
  program: Effect.Effect<A, E, R>
): Effect.Effect<A, E, Exclude<R, JobQueue.JobQueue | JobStorage | Scope | TestServices>> =>
  Effect.provide(program, Layer.mergeAll(layer, TestContext.TestContext, Layer.scope))

/**
 * Returns once the worker in the context holds nothing and finds nothing due. Delayed jobs and retries are due once
 * `TestClock.adjust` has passed their time.
 *
 * @since 0.1.0
 * @category helpers
 */
export const drain: Effect.Effect<void, never, Worker> = Effect.flatMap(Worker, (worker) => worker.awaitIdle)

/**
 * The decoded payloads of the unfinished jobs of this definition, in the order in which they were enqueued.
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
