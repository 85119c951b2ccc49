/**
 * A supervised pool of fibers that runs jobs.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Clock from "effect/Clock"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as ids from "./internal/id.js"
import * as schedules from "./internal/schedules.js"
import * as Engine from "./internal/worker/engine.js"
import type { Health as LoopHealth } from "./internal/worker/loop.js"
import { settings as checkSettings, type WorkerOptions } from "./internal/worker/options.js"
import * as Job from "./Job.js"
import { InvalidOption, type PayloadError, type StorageError } from "./JobError.js"
import type * as JobSchedule from "./JobSchedule.js"
import { JobStorage, Transactional } from "./JobStorage.js"

/**
 * How a worker works: how much at once, how often it looks, how long it holds on. Everything has a default.
 *
 * @since 0.1.0
 * @category models
 */
export type Tuning = WorkerOptions

/**
 * The tuning, and the schedules that the worker declares.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<Schedules extends ReadonlyArray<JobSchedule.Any> = []> extends Tuning {
  /**
   * Put when the worker is made, as by `JobSchedule.layer`; the worker runs their jobs too. It fires every due schedule
   * of the storage, not only these.
   */
  readonly schedules?: Schedules | undefined
}

/**
 * What a worker of these jobs and schedules needs: the storage, and a handler for each job.
 *
 * @since 0.1.0
 * @category type helpers
 */
export type Requirements<Jobs extends ReadonlyArray<Job.Any>, Schedules extends ReadonlyArray<JobSchedule.Any>> =
  | JobStorage
  | Job.ToHandler<Jobs[number]>
  | Job.ToHandler<Schedules[number]["job"]>

/**
 * Whether a loop of the worker goes on well, and what is wrong while it does not.
 *
 * @since 0.1.0
 * @category models
 */
export type Health = LoopHealth

/**
 * A job whose handler runs now.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunningJob {
  readonly id: string
  readonly name: string
  readonly queue: string
  readonly attempt: number
  /** Epoch milliseconds by this process's monotonic clock: setting the wall clock does not move it. */
  readonly since: number
}

/**
 * What a worker is doing at one moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface Status {
  /** This incarnation's name in the `owner` column: new at every start of a process. */
  readonly id: string
  readonly state: "running" | "paused" | "stopping" | "stopped"
  readonly running: ReadonlyArray<RunningJob>
  /** Claimed and waiting for a free slot. */
  readonly buffered: number
  /** Attempts settled since the latest start. */
  readonly settled: number
  /** The loops by name: fetcher, runner, deadlines, settler, renewer, sweeper, scheduler, listener. */
  readonly health: { readonly [loop: string]: Health }
}

/**
 * A worker as its program drives it.
 *
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
 * The worker of a program that has one, as `layer` provides it.
 *
 * @since 0.1.0
 * @category tags
 */
export class Worker extends Context.Tag("dbjobq/Worker")<Worker, Service>() {}

/**
 * A worker for these jobs, stopped when its scope closes. Use it directly for several workers in one program.
 *
 * Fails with `InvalidOption` for an option outside its rule, two jobs of one name, or a handler that was made from
 * another definition than the one given; with `PayloadError` for a schedule whose payload its job refuses.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <
  const Jobs extends ReadonlyArray<Job.Any>,
  const Schedules extends ReadonlyArray<JobSchedule.Any> = []
>(
  jobs: Jobs,
  options: Options<Schedules> = {}
): Effect.Effect<Service, PayloadError | InvalidOption | StorageError, Scope.Scope | Requirements<Jobs, Schedules>> =>
  Effect.gen(function* () {
    const settings = yield* checkSettings(options)
    const storage = yield* JobStorage
    const context = yield* Effect.context<Requirements<Jobs, Schedules>>()
    const names = new Set<string>()
    for (const { name } of jobs) {
      if (names.has(name)) return yield* new InvalidOption({ field: "jobs", rule: `must not name ${name} twice` })
      names.add(name)
    }
    const declared: ReadonlyArray<JobSchedule.Any> = options.schedules ?? []
    const handlers = new Map<string, Job.HandlerService>()
    for (const job of [...jobs, ...declared.map((schedule) => schedule.job)]) {
      const handler = Context.getOption(context, Job.handlerTag(job.name))
      if (Option.isNone(handler)) {
        return yield* new InvalidOption({ field: "jobs", rule: `must have a handler for ${job.name}` })
      }
      if (handler.value.job !== job) {
        return yield* new InvalidOption({
          field: "jobs",
          rule: `must have, for ${job.name}, a handler made from this very definition, not from another of that name`
        })
      }
      handlers.set(job.name, handler.value)
    }
    yield* schedules.put(storage, declared)

    const id = yield* Effect.map(Clock.currentTimeMillis, ids.oneByOne())
    const parent = yield* Effect.scope
    const lock = yield* Effect.makeSemaphore(1)
    let paused = false
    let current: { readonly engine: Engine.Engine; readonly scope: Scope.CloseableScope; stopping: boolean } | undefined

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
            const started = { engine, scope, stopping: false }
            current = started
            // run at once when the worker's own scope is closed already
            yield* Scope.addFinalizer(
              scope,
              Effect.suspend(() => {
                started.stopping = true
                return Effect.ensuring(
                  engine.shutdown,
                  Effect.sync(() => {
                    current = undefined
                  })
                )
              })
            )
          })
        )
      )
    )

    const stop = lock.withPermits(1)(
      Effect.uninterruptible(
        Effect.suspend(() => (current === undefined ? Effect.void : Scope.close(current.scope, Exit.void)))
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
        state: current === undefined ? "stopped" : current.stopping ? "stopping" : paused ? "paused" : "running",
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
export const layer = <
  const Jobs extends ReadonlyArray<Job.Any>,
  const Schedules extends ReadonlyArray<JobSchedule.Any> = []
>(
  jobs: Jobs,
  options: Options<Schedules> = {}
): Layer.Layer<Worker, PayloadError | InvalidOption | StorageError, Requirements<Jobs, Schedules>> =>
  Layer.scoped(Worker, make(jobs, options))

/**
 * As `layer`, its tuning read from configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = <
  const Jobs extends ReadonlyArray<Job.Any>,
  const Schedules extends ReadonlyArray<JobSchedule.Any> = []
>(
  jobs: Jobs,
  tuning: Config.Config.Wrap<Tuning>,
  options: { readonly schedules?: Schedules | undefined } = {}
): Layer.Layer<
  Worker,
  PayloadError | InvalidOption | StorageError | ConfigError.ConfigError,
  Requirements<Jobs, Schedules>
> =>
  Layer.scoped(
    Worker,
    Effect.flatMap(Config.unwrap(tuning), (unwrapped) => make(jobs, { ...unwrapped, ...options }))
  )
