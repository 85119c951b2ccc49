/**
 * Durable, named recurrences of a job.
 *
 * A schedule lives in the storage: it goes on over restarts, and any number of workers fire each of its slots once.
 * Any worker fires any due schedule; the job is then run by a worker that has its handler.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as option from "./internal/option.js"
import * as schedules from "./internal/schedules.js"
import type * as Job from "./Job.js"
import type { InvalidOption, PayloadError, StorageError } from "./JobError.js"
import { JobStorage } from "./JobStorage.js"
import type { Recurrence } from "./Recurrence.js"

/**
 * What marks a value as a schedule.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: TypeId = "~dbjobq/JobSchedule"

/**
 * The type of `TypeId`.
 *
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = "~dbjobq/JobSchedule"

/**
 * A schedule as a program states it: a plain value.
 *
 * @since 0.1.0
 * @category models
 */
export interface JobSchedule<J extends Job.Any> extends Any {
  readonly job: J
  readonly payload: Job.Payload<J> | undefined
}

/**
 * Any schedule, for constraints.
 *
 * @since 0.1.0
 * @category models
 */
export interface Any {
  readonly [TypeId]: TypeId
  readonly id: string
  readonly job: Job.Any
  readonly payload: unknown
  readonly recurrence: Recurrence
  readonly enabled: boolean | undefined
  readonly queue: string
  readonly priority: number
  /** Retries of each job after its first attempt. */
  readonly retries: number
  /** How many missed slots still run, the latest ones. */
  readonly missed: number
  readonly overlap: "allow" | "skip"
  /** Milliseconds. */
  readonly jitter: number
}

/**
 * What becomes of slots that are found more than 60 seconds late, because no worker was running or the storage was away
 * (within those 60 seconds every slot runs):
 *
 * - `skip`: none of them runs
 * - `once`: the latest one runs
 * - `{ all: max }`: the latest `max` run, each as a job of its own
 *
 * The others are counted as skipped.
 *
 * @since 0.1.0
 * @category models
 */
export type Missed = "skip" | "once" | { readonly all: number }

interface Settings {
  /** When it fires. */
  readonly recurrence: Recurrence
  /** Undefined, the default, keeps what an operator chose, and is true for a new schedule. */
  readonly enabled?: boolean | undefined
  /** Default: the job's. */
  readonly queue?: string | undefined
  /** Default: the job's. */
  readonly priority?: number | undefined
  /** Retries of each job after its first attempt. Default: the job's. */
  readonly retries?: number | undefined
  /** `all` from 1 to 100,000. Default `once`. */
  readonly missed?: Missed | undefined
  /**
   * `skip` inserts no job while the one fired before is unfinished, and of several due slots fires the latest only; the
   * others count as skipped. Default `allow`.
   */
  readonly overlap?: "allow" | "skip" | undefined
  /**
   * Spreads the due times of the jobs over this much time after their slots, each slot always at the same place, so that
   * many schedules of one instant do not start at once. Default none.
   */
  readonly jitter?: Duration.DurationInput | undefined
}

/**
 * Options of a schedule. The payload is the same for every job it fires, and may be left out when every field of it may.
 *
 * @since 0.1.0
 * @category models
 */
export type Options<J extends Job.Any> = Settings & { readonly job: J } & ({} extends Job.Payload<J>
    ? { readonly payload?: Job.Payload<J> | undefined }
    : { readonly payload: Job.Payload<J> })

const missedCount = (missed: Missed): number => {
  if (missed === "skip") return 0
  if (missed === "once") return 1
  option.orThrow(option.int("missed.all", missed.all, 1, 100_000))
  return missed.all
}

/**
 * A schedule. Nothing is written until a worker, {@link layer} or `JobQueue.putSchedule` puts it.
 *
 * The id, 1 to 200 printable characters, names it in the storage. A job's unique key applies to fired jobs too: a slot
 * whose key is held counts as skipped.
 *
 * Throws `InvalidOption` for an option outside its rule.
 *
 * @example
 * ```ts
 * import { Job, JobSchedule, Recurrence } from "dbjobq"
 * import { Schema } from "effect"
 *
 * const Cleanup = Job.make("Cleanup", { payload: { target: Schema.String } })
 *
 * export const Nightly = JobSchedule.make("cleanup", {
 *   job: Cleanup,
 *   payload: { target: "temp" },
 *   recurrence: Recurrence.unsafeCron("0 3 * * *", { timezone: "Europe/Oslo" }),
 *   overlap: "skip"
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export function make<J extends Job.Any>(id: string, options: Options<J>): JobSchedule<J>
export function make(
  id: string,
  {
    enabled,
    job,
    missed = "once",
    overlap = "allow",
    payload,
    recurrence,
    ...options
  }: Settings & {
    readonly job: Job.Any
    readonly payload?: unknown
  }
): Any {
  const queue = options.queue ?? job.queue
  const priority = options.priority ?? job.priority
  const retries = options.retries ?? job.retries
  option.orThrow(option.scheduleId("id", id))
  option.orThrow(option.name("queue", queue))
  option.orThrow(option.priority("priority", priority))
  option.orThrow(option.int("retries", retries, 0, 1_000_000))
  return {
    [TypeId]: TypeId,
    id,
    job,
    payload,
    recurrence,
    enabled,
    queue,
    priority,
    retries,
    missed: missedCount(missed),
    overlap,
    jitter: Math.ceil(option.millisOrThrow("jitter", options.jitter ?? 0))
  }
}

/**
 * Whether a value is a schedule.
 *
 * @since 0.1.0
 * @category guards
 */
export const isJobSchedule = (value: unknown): value is Any => Predicate.hasProperty(value, TypeId)

/**
 * Puts these schedules when the layer is built, without needing any handler: a program that only declares them. An
 * existing schedule takes the definition over from its next slot on and keeps its cursor, unless the recurrence changed.
 *
 * Fails with `PayloadError` for a payload that its job refuses.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  list: ReadonlyArray<Any>
): Layer.Layer<never, PayloadError | InvalidOption | StorageError, JobStorage> =>
  Layer.effectDiscard(Effect.flatMap(JobStorage, (storage) => schedules.put(storage, list)))
