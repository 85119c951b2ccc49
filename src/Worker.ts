/**
 * A supervised pool of fibers that runs jobs.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as ids from "./internal/id.js"
import * as Engine from "./internal/worker/engine.js"
import type { Health as LoopHealth } from "./internal/worker/loop.js"
import { settings as checkSettings, type WorkerOptions } from "./internal/worker/options.js"
import * as Job from "./Job.js"
import { InvalidOption } from "./JobError.js"
import { JobStorage, Transactional } from "./JobStorage.js"

/**
 * @since 0.1.0
 * @category models
 */
export type Options = WorkerOptions

/**
 * @since 0.1.0
 * @category models
 */
export type Health = LoopHealth

/**
 * @since 0.1.0
 * @category models
 */
export interface RunningJob {
  readonly id: string
  readonly name: string
  readonly queue: string
  readonly attempt: number
  /** Epoch milliseconds, by this process's clock. */
  readonly since: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Status {
  /** This incarnation's name in the `owner` column: new at every start of a process. */
  readonly id: string
  readonly state: "running" | "paused" | "stopped"
  readonly running: ReadonlyArray<RunningJob>
  /** Claimed and waiting for a free slot. */
  readonly buffered: number
  /** Attempts settled since the latest start. */
  readonly settled: number
  /** The background loops by name: fetcher, settler, renewer, sweeper, listener. */
  readonly health: { readonly [loop: string]: Health }
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Does nothing when started. */
  readonly start: Effect.Effect<void>
  /** Stops claiming, drains to `shutdownTimeout`, interrupts the rest and hands their leases back without using up an attempt. */
  readonly stop: Effect.Effect<void>
  /** Claims nothing more; what is claimed already goes on. This worker only: see `JobQueue.pauseQueue` for all. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  readonly status: Effect.Effect<Status>
  /** Returns once this worker holds nothing and finds nothing due (at once when stopped). Later jobs are not waited for. */
  readonly awaitIdle: Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class Worker extends Context.Tag("dbjobq/Worker")<Worker, Service>() {}

/**
 * A worker for these jobs, stopped when its scope closes. Use it directly for several workers in one program.
 *
 * Fails with `InvalidOption` for an option outside its rule, two jobs of one name, or a handler that was made from
 * another definition than the one given.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <const Jobs extends ReadonlyArray<Job.Any>>(
  jobs: Jobs,
  options: Options = {}
): Effect.Effect<Service, InvalidOption, JobStorage | Scope.Scope | Job.ToHandler<Jobs[number]>> =>
  Effect.gen(function* () {
    const settings = yield* checkSettings(options)
    const storage = yield* JobStorage
    const context = yield* Effect.context<Job.ToHandler<Jobs[number]>>()
    const handlers = new Map<string, Job.HandlerService>()
    for (const job of jobs) {
      if (handlers.has(job.name)) {
        return yield* new InvalidOption({ field: "jobs", rule: `must not name ${job.name} twice` })
      }
      const handler = Context.getOption(context, Job.handlerTag(job.name))
      if (Option.isNone(handler) || handler.value.job !== job) {
        return yield* new InvalidOption({
          field: "jobs",
          rule: `must have, for ${job.name}, a handler made from this very definition`
        })
      }
      handlers.set(job.name, handler.value)
    }

    const id = (yield* ids.make(1))[0] ?? ""
    const parent = yield* Effect.scope
    const lock = yield* Effect.makeSemaphore(1)
    let paused = false
    let current: { readonly engine: Engine.Engine; readonly scope: Scope.CloseableScope } | undefined

    // jobs must not run inside a transaction that whoever starts the worker has open
    const transactional = yield* Effect.serviceOption(Transactional)
    const detached = <A>(effect: Effect.Effect<A>): Effect.Effect<A> =>
      Option.isSome(transactional) ? transactional.value.detached(effect) : effect

    const start = detached(
      lock.withPermits(1)(
        Effect.uninterruptible(
          Effect.gen(function* () {
            if (current !== undefined) return
            const scope = yield* Scope.fork(parent, { _tag: "Sequential" })
            const engine = yield* Scope.extend(Engine.make(storage, settings, handlers, id, paused), scope)
            yield* Scope.addFinalizer(scope, engine.shutdown)
            current = { engine, scope }
          })
        )
      )
    )

    const stop = lock.withPermits(1)(
      Effect.uninterruptible(
        Effect.suspend(() => {
          const stopped = current
          current = undefined
          return stopped === undefined ? Effect.void : Scope.close(stopped.scope, Exit.void)
        })
      )
    )

    const setPaused = (value: boolean) =>
      Effect.sync(() => {
        paused = value
        current?.engine.setPaused(value)
      })

    if (settings.autoStart) yield* start

    return {
      start,
      stop,
      pause: setPaused(true),
      resume: setPaused(false),
      awaitIdle: Effect.suspend(() => current?.engine.awaitIdle ?? Effect.void),
      status: Effect.sync(() => ({
        id,
        state: current === undefined ? "stopped" : paused ? "paused" : "running",
        running: (current?.engine.running() ?? []).map(({ row, startedAt }) => ({
          id: row.id,
          name: row.name,
          queue: row.queue,
          attempt: row.attempt,
          since: startedAt
        })),
        buffered: current?.engine.buffered() ?? 0,
        settled: current?.engine.recorded() ?? 0,
        health: current?.engine.health() ?? {}
      }))
    }
  })

/**
 * A worker as a Layer: started when the layer is built, stopped when its scope closes.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <const Jobs extends ReadonlyArray<Job.Any>>(
  jobs: Jobs,
  options: Options = {}
): Layer.Layer<Worker, InvalidOption, JobStorage | Job.ToHandler<Jobs[number]>> =>
  Layer.scoped(Worker, make(jobs, options))

/**
 * As `layer`, its options read from configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = <const Jobs extends ReadonlyArray<Job.Any>>(
  jobs: Jobs,
  options: Config.Config.Wrap<Options>
): Layer.Layer<Worker, InvalidOption | ConfigError.ConfigError, JobStorage | Job.ToHandler<Jobs[number]>> =>
  Layer.scoped(
    Worker,
    Effect.flatMap(Config.unwrap(options), (unwrapped) => make(jobs, unwrapped))
  )
