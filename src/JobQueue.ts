/**
 * Producing jobs, waiting for them, looking at them, and operating queues.
 *
 * @since 0.1.0
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as finished from "./internal/finished.js"
import * as ids from "./internal/id.js"
import * as metrics from "./internal/metrics.js"
import * as option from "./internal/option.js"
import type { AtOnceOrLater, Encoded } from "./internal/payload.js"
import * as schedules from "./internal/schedules.js"
import * as trace from "./internal/trace.js"
import * as transient from "./internal/transient.js"
import * as Job from "./Job.js"
import {
  InvalidOption,
  type InvalidRecurrence,
  JobCancelled,
  type JobFailed,
  JobNotFound,
  type PayloadError,
  type ResultError,
  ScheduleNotFound,
  type StorageError
} from "./JobError.js"
import type * as JobSchedule from "./JobSchedule.js"
import {
  type Count,
  type Due,
  type Filter,
  type Inserted,
  type JobRow,
  JobStorage,
  type NewJob,
  type ScheduleRow,
  Transactional
} from "./JobStorage.js"
import * as Recurrence from "./Recurrence.js"

/**
 * Options of one enqueued job. A value outside its rule fails the enqueue with an `InvalidOption` that names the field;
 * nothing is written then.
 *
 * @since 0.1.0
 * @category models
 */
export interface EnqueueOptions {
  /** Due this long from now, by the store's clock; rounded up to whole milliseconds. Not together with `runAt`. Default 0. */
  readonly delay?: Duration.DurationInput | undefined
  /** Due at this instant: a `Date` or whole epoch milliseconds. One that has passed is due at once. */
  readonly runAt?: Date | number | undefined
  /** Higher first, int32. Default: the job's. */
  readonly priority?: number | undefined
  /** Retries after the first attempt, 0 to 1,000,000. Default: the job's `retry.times`. */
  readonly retries?: number | undefined
  /** 1 to 100 of `A-Z a-z 0-9 _ . : / -`, not beginning with punctuation. Default: the job's. */
  readonly queue?: string | undefined
  /**
   * 1 to 100 printable ASCII characters without spaces. Default a new UUIDv7. An id that exists under the same job name
   * adds nothing; under another name it is an `InvalidOption`.
   */
  readonly id?: string | undefined
  /** 1 to 1,000 characters. Default: the job's `uniqueKey` of the payload. */
  readonly uniqueKey?: string | undefined
  /** At most 20, each 1 to 100 characters; for `list` and `stream` with `{ tag }`. Default none. */
  readonly tags?: ReadonlyArray<string> | undefined
}

/**
 * The payload argument: optional when every field is.
 *
 * @since 0.1.0
 * @category models
 */
export type EnqueueArgs<J extends Job.Any> =
  {} extends Job.Payload<J>
    ? [payload?: Job.Payload<J>, options?: EnqueueOptions]
    : [payload: Job.Payload<J>, options?: EnqueueOptions]

/**
 * Why an enqueue wrote nothing: the payload, an option, or the storage. After a `StorageError` the job may be there all
 * the same, when it was the reply that was lost: give an `id` of your own to ask again safely.
 *
 * @since 0.1.0
 * @category models
 */
export type EnqueueError = PayloadError | InvalidOption | StorageError

/**
 * What `enqueueOrGet` answers: `created` is false when the id, or the unique key, was there already.
 *
 * @since 0.1.0
 * @category models
 */
export interface Enqueued<Name extends string> {
  readonly id: Job.Id<Name>
  readonly created: boolean
}

/**
 * A page of jobs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Page {
  readonly jobs: ReadonlyArray<JobRow>
  /** Give it to the next call as `after`; undefined on the last page. */
  readonly next: string | undefined
}

/**
 * Which jobs, from where on, and how many.
 *
 * @since 0.1.0
 * @category models
 */
export interface ListOptions extends Filter {
  readonly after?: string | undefined
  /** 1 to 200, default 50. */
  readonly limit?: number | undefined
}

/**
 * The operations. Each is also a function of this module, for programs that have a `JobQueue` in their context. Storage
 * errors that are transient are retried with backoff before they are given out.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /**
   * Writes a job durably and answers its id: the holder's where a unique key is held. In an open transaction of the
   * storage's database it commits or vanishes with it, and no worker sees it before.
   */
  readonly enqueue: <J extends Job.Any>(
    job: J,
    ...args: EnqueueArgs<J>
  ) => Effect.Effect<Job.Id<J["name"]>, EnqueueError>
  /** As `enqueue`, and says whether the job is new. */
  readonly enqueueOrGet: <J extends Job.Any>(
    job: J,
    ...args: EnqueueArgs<J>
  ) => Effect.Effect<Enqueued<J["name"]>, EnqueueError>
  /**
   * One write, all or nothing for as many as the storage's `limits.atomicInsert`. Options may differ by item; an error
   * carries the item's index. An id of a job of another name refuses all on a storage with transactions, else itself.
   */
  readonly enqueueAll: <J extends Job.Any>(
    job: J,
    payloads: ReadonlyArray<Job.Payload<J>>,
    options?: EnqueueOptions | ((payload: Job.Payload<J>, index: number) => EnqueueOptions)
  ) => Effect.Effect<ReadonlyArray<Job.Id<J["name"]>>, EnqueueError>
  /**
   * Waits for the job's end: its success, or its own typed error. Beside that it fails with
   *
   * - `JobFailed`: the last attempt ended otherwise (a defect, a timeout, a crash, an undecodable payload, `Job.discard`)
   * - `JobCancelled`, and `JobNotFound` when the job is not there or is removed meanwhile
   * - `ResultError`: what is stored does not decode under the schemas of this program
   * - `InvalidOption`: called inside a transaction, where waiting would never end
   *
   * It looks every 50 ms at first, then less often, up to once a second, and waits for ever: give it a timeout.
   */
  readonly join: <J extends Job.Any>(
    job: J,
    id: Job.Id<J["name"]>
  ) => Effect.Effect<
    Job.Success<J>,
    Job.Error<J> | JobFailed | JobCancelled | JobNotFound | ResultError | StorageError | InvalidOption
  >
  /** The job's end, if it has ended: None while it waits or runs. Errors as `join`'s. */
  readonly poll: <J extends Job.Any>(
    job: J,
    id: Job.Id<J["name"]>
  ) => Effect.Effect<
    Option.Option<Exit.Exit<Job.Success<J>, Job.Error<J> | JobFailed | JobCancelled>>,
    JobNotFound | ResultError | StorageError
  >
  /** The job's row as it is now: state, attempt, progress, times. */
  readonly get: (id: string) => Effect.Effect<JobRow, JobNotFound | StorageError>
  /** A page in enqueue order. */
  readonly list: (options?: ListOptions) => Effect.Effect<Page, InvalidOption | StorageError>
  /** Every match, page by page, in enqueue order. */
  readonly stream: (filter?: Filter) => Stream.Stream<JobRow, InvalidOption | StorageError>
  /** How many jobs of each state there are in each queue; only those that are not zero. */
  readonly counts: Effect.Effect<ReadonlyArray<Count>, StorageError>
  /**
   * `cancelled`: it waited, and will not run. `requested`: it is running, and its worker will interrupt it within a third
   * of the lease. `finished`: it had ended already.
   */
  readonly cancel: (id: string) => Effect.Effect<"cancelled" | "requested" | "finished", JobNotFound | StorageError>
  /**
   * Runs a finished job again as a new generation with fresh attempts; result and failure are cleared. `unfinished`: it
   * has not ended. `duplicate`: another unfinished job has its unique key.
   */
  readonly rerun: (id: string) => Effect.Effect<"rerun" | "unfinished" | "duplicate", JobNotFound | StorageError>
  /** Moves the due time of a job that waits. */
  readonly reschedule: (
    id: string,
    due: { readonly delay: Duration.DurationInput } | { readonly runAt: Date | number }
  ) => Effect.Effect<"rescheduled" | "running" | "finished", JobNotFound | InvalidOption | StorageError>
  /** Deletes a job that is not running. */
  readonly remove: (id: string) => Effect.Effect<"removed" | "running", JobNotFound | StorageError>
  /** Durable, and seen by every worker's next claim. Jobs already running go on. */
  readonly pauseQueue: (queue: string) => Effect.Effect<void, InvalidOption | StorageError>
  /** Ends a pause. Does nothing when there is none. */
  readonly resumeQueue: (queue: string) => Effect.Effect<void, InvalidOption | StorageError>
  /** Their names. */
  readonly pausedQueues: Effect.Effect<ReadonlyArray<string>, StorageError>
  /** Removes jobs that finished at least `age` ago; answers how many. Workers do it by their `retention` anyway. */
  readonly prune: (options: {
    readonly age: Duration.DurationInput
    /** Default all three. */
    readonly states?: ReadonlyArray<"completed" | "failed" | "cancelled"> | undefined
  }) => Effect.Effect<number, InvalidOption | StorageError>
  /**
   * Creates or edits a schedule; answers its row. Edits take effect from the next slot on, which stays as it is unless
   * the recurrence changed. A payload that the job refuses is a `PayloadError`, and nothing is written.
   */
  readonly putSchedule: (
    schedule: JobSchedule.Any
  ) => Effect.Effect<ScheduleRow, PayloadError | InvalidOption | StorageError>
  readonly getSchedule: (id: string) => Effect.Effect<ScheduleRow, ScheduleNotFound | StorageError>
  /** A page in the order of ids. */
  readonly listSchedules: (options?: ListSchedulesOptions) => Effect.Effect<SchedulePage, InvalidOption | StorageError>
  /** Slots that passed while it was disabled are not made up for. Does nothing when it is enabled. */
  readonly enableSchedule: (
    id: string
  ) => Effect.Effect<void, ScheduleNotFound | InvalidRecurrence | InvalidOption | StorageError>
  /** Once this returns, no worker fires it any more. Jobs it fired before stay. */
  readonly disableSchedule: (id: string) => Effect.Effect<void, ScheduleNotFound | StorageError>
  /** Forgets the schedule and its counters. Jobs it fired stay. A worker that declares it puts it again when it starts. */
  readonly removeSchedule: (id: string) => Effect.Effect<void, ScheduleNotFound | StorageError>
  /**
   * Enqueues the schedule's job now, also while it is disabled; answers the job's id, the holder's where its unique key
   * is held. Slots and counters stay as they are.
   */
  readonly triggerSchedule: (id: string) => Effect.Effect<string, ScheduleNotFound | InvalidOption | StorageError>
  /** Its next `n` slots, 0 to 10,000; those it would have when it is disabled. */
  readonly previewSchedule: (
    id: string,
    n: number
  ) => Effect.Effect<ReadonlyArray<DateTime.Utc>, ScheduleNotFound | InvalidRecurrence | InvalidOption | StorageError>
}

/**
 * A page of schedules.
 *
 * @since 0.1.0
 * @category models
 */
export interface SchedulePage {
  readonly schedules: ReadonlyArray<ScheduleRow>
  /** Give it to the next call as `after`; undefined on the last page. */
  readonly next: string | undefined
}

/**
 * From where on, and how many.
 *
 * @since 0.1.0
 * @category models
 */
export interface ListSchedulesOptions {
  readonly after?: string | undefined
  /** 1 to 200, default 50. */
  readonly limit?: number | undefined
}

/**
 * The service that enqueues jobs, waits for them and operates them.
 *
 * @since 0.1.0
 * @category tags
 */
export class JobQueue extends Context.Tag("dbjobq/JobQueue")<JobQueue, Service>() {}

const pageMax = 200
const noTags: ReadonlyArray<string> = []
const pruneBatch = 1_000

/** NaN for what is no instant: a caller without types may give a string. */
const instant = (value: unknown): number =>
  typeof value === "number" ? value : value instanceof Date ? value.getTime() : Number.NaN

const atOnce: Due = { delay: 0 }

const dueOf = (options: {
  readonly delay?: Duration.DurationInput | undefined
  readonly runAt?: Date | number | undefined
}): Due | InvalidOption => {
  if (options.delay !== undefined && options.runAt !== undefined) {
    return new InvalidOption({ field: "runAt", rule: "must not be given together with delay" })
  }
  if (options.runAt !== undefined) {
    const runAt = instant(options.runAt)
    return Number.isInteger(runAt) && Math.abs(runAt) <= 8_640_000_000_000_000
      ? { runAt }
      : new InvalidOption({ field: "runAt", rule: "must be a valid Date or whole epoch milliseconds" })
  }
  if (options.delay === undefined) return atOnce
  const delay = option.millis("delay", options.delay)
  return typeof delay === "number" ? { delay: Math.ceil(delay) } : delay
}

/**
 * The queue on the storage in the context.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Service, never, JobStorage> = Effect.gen(function* () {
  const storage = yield* JobStorage
  const transactional = yield* Effect.serviceOption(Transactional)

  const inTransaction = Option.match(transactional, {
    onNone: () => Effect.succeed(false),
    onSome: (transactions) => transactions.inTransaction
  })

  // a retry of its own inside the caller's transaction could only fail again: the transaction is broken by then
  const again = <A, E>(effect: Effect.Effect<A, E | StorageError>, error: E | StorageError) =>
    transient.isTransient(error)
      ? Effect.flatMap(inTransaction, (inside) => (inside ? Effect.fail(error) : transient.retry(effect)))
      : Effect.fail(error)

  const steady = <A, E>(effect: Effect.Effect<A, E | StorageError>): Effect.Effect<A, E | StorageError> =>
    Effect.catchAll(effect, (error) => again(effect, error))

  const newJob = (
    job: Job.Any,
    payload: unknown,
    options: EnqueueOptions,
    id: string,
    traceparent: string | null
  ): AtOnceOrLater<NewJob, PayloadError | InvalidOption> => {
    const due = dueOf(options)
    if (due instanceof InvalidOption) return Either.left(due)
    const { priority, queue, retries, tags, uniqueKey } = options
    // what the job itself says was looked at when it was defined
    const refusal =
      (queue === undefined ? undefined : option.name("queue", queue)) ??
      (priority === undefined ? undefined : option.priority("priority", priority)) ??
      (retries === undefined ? undefined : option.int("retries", retries, 0, 1_000_000)) ??
      (tags === undefined ? undefined : option.tags("tags", tags)) ??
      (uniqueKey === undefined ? undefined : option.uniqueKey("uniqueKey", uniqueKey)) ??
      (options.id === undefined ? undefined : option.id("id", id))
    if (refusal !== undefined) return Either.left(refusal)
    const encoded = job.encodePayload(payload, storage.capabilities.limits.payloadBytes)
    const made = (encoded: Encoded): NewJob => ({
      id,
      name: job.name,
      queue: queue ?? job.queue,
      priority: priority ?? job.priority,
      payload: encoded.text,
      due,
      maxAttempts: (retries ?? job.retries) + 1,
      uniqueKey: uniqueKey ?? encoded.uniqueKey ?? null,
      tags: tags ?? noTags,
      traceparent,
      scheduleId: null,
      slot: null
    })
    return Either.isEither(encoded) ? Either.map(encoded, made) : Effect.map(encoded, made)
  }

  let warned = false
  // the jobs are written all the same: it is the caller who believes them to be part of the transaction
  const warnOutside = Effect.flatMap(inTransaction, (inside) => {
    if (inside || warned) return Effect.void
    warned = true
    return Effect.logWarning(
      `dbjobq: a job is enqueued inside an open SQL transaction that the ${storage.capabilities.storage} storage is not part of; it stays when that transaction rolls back`
    )
  })

  const warningOutside = <A, E>(context: Context.Context<never>, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    context.unsafeMap.has(SqlClient.TransactionConnection.key) ? Effect.zipRight(warnOutside, effect) : effect

  const taken = () => new InvalidOption({ field: "id", rule: "belongs to a job of another name" })

  const written = (rows: ReadonlyArray<NewJob>): Effect.Effect<ReadonlyArray<Inserted>, InvalidOption | StorageError> =>
    Effect.flatMap(storage.insert(rows), (answers) => {
      const conflict = answers.findIndex((answer) => answer.answer === "conflict")
      if (conflict < 0) return Effect.succeed(answers)
      return Effect.fail(rows.length > 1 ? taken().at(conflict) : taken())
    })

  /** `given`: some ids are the caller's, so one may be refused, and then none should be there where that is possible. */
  const insert = (rows: ReadonlyArray<NewJob>, context: Context.Context<never>, given = false) =>
    warningOutside(
      context,
      steady(
        rows.length > 1 && given && Option.isSome(transactional)
          ? transactional.value.withTransaction(written(rows))
          : written(rows)
      )
    )

  const enqueuedOf = metrics.enqueued()
  const idAt = ids.oneByOne()

  /**
   * One job, and what is made of the storage's answer. All that is needed from the fiber is read at once, and as little as
   * can be is an effect: each costs a lone enqueue some.
   */
  const enqueueOne = <J extends Job.Any, A>(
    job: J,
    payload: unknown,
    options: EnqueueOptions,
    made: (id: Job.Id<J["name"]>, created: boolean) => A
  ): Effect.Effect<A, EnqueueError> =>
    trace.enqueuing(job.name, ({ currentContext: context, currentDefaultServices: services }) => {
      const id = options.id ?? idAt(Context.get(services, Clock.Clock).unsafeCurrentTimeMillis())
      const told = ([answer]: ReadonlyArray<Inserted>) => {
        if (answer === undefined) return Effect.dieMessage("the storage answered no item")
        if (answer.answer === "conflict") return Effect.fail(taken())
        // a repeat after a lost reply finds its own row: an id made here is new to the caller either way
        const created = answer.created || (options.id === undefined && answer.answer === "inserted")
        if (answer.created) enqueuedOf(job.name).unsafeUpdate(1, [])
        return Effect.succeed(made(Job.id(job, answer.id), created))
      }
      const write = (row: NewJob) => {
        const inserted = storage.insert([row])
        return warningOutside(
          context,
          Effect.matchEffect(inserted, {
            onFailure: (error) => Effect.flatMap(again(inserted, error), told),
            onSuccess: told
          })
        )
      }
      const row = newJob(job, payload, options, id, trace.current(context))
      return Either.isEither(row) && Either.isRight(row) ? write(row.right) : Effect.flatMap(row, write)
    })

  const enqueueOrGet: Service["enqueueOrGet"] = (job, ...[payload, options = {}]) =>
    enqueueOne(job, payload, options, (id, created) => ({ id, created }))

  /** The jobs of a batch, as one Either where none of them takes time, as nearly always. */
  const newJobs = (
    count: number,
    make: (index: number) => AtOnceOrLater<NewJob, PayloadError | InvalidOption>
  ): AtOnceOrLater<ReadonlyArray<NewJob>, PayloadError | InvalidOption> => {
    const rows: Array<NewJob> = []
    const from = (start: number): AtOnceOrLater<ReadonlyArray<NewJob>, PayloadError | InvalidOption> => {
      for (let index = start; index < count; index++) {
        const row = make(index)
        if (!Either.isEither(row)) {
          return Effect.flatMap(
            Effect.mapError(row, (error) => error.at(index)),
            (later) => {
              rows.push(later)
              return from(index + 1)
            }
          )
        }
        if (Either.isLeft(row)) return Either.left(row.left.at(index))
        rows.push(row.right)
      }
      return Either.right(rows)
    }
    return from(0)
  }

  const enqueueAll: Service["enqueueAll"] = (job, payloads, options) =>
    trace.enqueuing(job.name, ({ currentContext: context }) => {
      if (payloads.length === 0) return Effect.succeed([])
      const traceparent = trace.current(context)
      return Effect.gen(function* () {
        const made = yield* ids.make(payloads.length)
        const rows = yield* newJobs(payloads.length, (index) => {
          const payload = payloads[index]
          const own = payload === undefined || typeof options !== "function" ? options : options(payload, index)
          const item = typeof own === "object" ? own : {}
          return newJob(job, payload, item, item.id ?? made[index] ?? "", traceparent)
        })
        const given = rows.some((row, index) => row.id !== made[index])
        const answers = yield* insert(rows, context, given)
        enqueuedOf(job.name).unsafeUpdate(answers.filter((answer) => answer.created).length, [])
        return answers.map((answer) => Job.id(job, answer.id))
      })
    })

  const get = (id: string): Effect.Effect<JobRow, JobNotFound | StorageError> =>
    Effect.flatMap(transient.retry(storage.get([id])), ([row]) =>
      row === undefined ? Effect.fail(new JobNotFound({ id })) : Effect.succeed(row)
    )

  const poll: Service["poll"] = (job, id) =>
    Effect.gen(function* () {
      const row = yield* get(id)
      if (row.name !== job.name) return yield* new JobNotFound({ id })
      switch (row.state) {
        case "cancelled":
          return Option.some(Exit.fail(new JobCancelled({ id })))
        case "completed":
        case "failed":
          return Option.some(yield* finished.decode(job, row))
        default:
          return Option.none()
      }
    })

  const join: Service["join"] = (job, id) =>
    Effect.gen(function* () {
      if (Option.isSome(transactional) && (yield* transactional.value.inTransaction)) {
        // no worker can see an uncommitted job: waiting here would wait for ever
        return yield* new InvalidOption({ field: "join", rule: "must not be called inside a transaction" })
      }
      let pause = 50
      while (true) {
        const end = yield* poll(job, id)
        if (Option.isSome(end)) return yield* end.value
        yield* Effect.sleep(pause)
        pause = Math.min(1_000, pause * 1.5)
      }
    })

  const list: Service["list"] = (options = {}) =>
    Effect.gen(function* () {
      const { after, limit = 50, ...filter } = options
      const refusal = option.int("limit", limit, 1, pageMax)
      if (refusal !== undefined) return yield* refusal
      const jobs = yield* transient.retry(storage.list({ filter, after, limit }))
      return { jobs, next: jobs.length < limit ? undefined : jobs[jobs.length - 1]?.id }
    })

  const isFound = <A extends string>(answer: A | "notFound" | undefined): answer is A =>
    answer !== undefined && answer !== "notFound"

  const one = <A extends string>(
    id: string,
    answers: Effect.Effect<ReadonlyArray<A | "notFound">, StorageError>
  ): Effect.Effect<A, JobNotFound | StorageError> =>
    Effect.flatMap(steady(answers), ([answer]) =>
      isFound(answer) ? Effect.succeed(answer) : Effect.fail(new JobNotFound({ id }))
    )

  const named = (queue: string, effect: Effect.Effect<void, StorageError>) => {
    const refusal = option.name("queue", queue)
    return refusal === undefined ? steady(effect) : Effect.fail(refusal)
  }

  const getSchedule: Service["getSchedule"] = (id) =>
    Effect.flatMap(transient.retry(storage.getSchedules([id])), ([row]) =>
      row === undefined ? Effect.fail(new ScheduleNotFound({ id })) : Effect.succeed(row)
    )

  const oneSchedule = (
    id: string,
    answers: Effect.Effect<ReadonlyArray<boolean>, StorageError>
  ): Effect.Effect<void, ScheduleNotFound | StorageError> =>
    Effect.flatMap(steady(answers), ([found]) =>
      found === true ? Effect.void : Effect.fail(new ScheduleNotFound({ id }))
    )

  return {
    enqueue: (job, ...[payload, options = {}]) => enqueueOne(job, payload, options, (id) => id),
    enqueueOrGet,
    enqueueAll,
    join,
    poll,
    get,
    list,
    stream: (filter = {}) =>
      Stream.paginateChunkEffect<string | undefined, JobRow, InvalidOption | StorageError, never>(undefined, (after) =>
        Effect.map(list({ ...filter, after, limit: pageMax }), ({ jobs, next }) => [
          Chunk.fromIterable(jobs),
          next === undefined ? Option.none() : Option.some(next)
        ])
      ),
    counts: transient.retry(storage.counts),
    cancel: (id) => one(id, storage.cancel([id])),
    rerun: (id) => one(id, storage.rerun([id])),
    reschedule: (id, input) => {
      const due = dueOf(input)
      return due instanceof InvalidOption ? Effect.fail(due) : one(id, storage.reschedule([id], due))
    },
    remove: (id) => one(id, storage.remove([id])),
    pauseQueue: (queue) => named(queue, storage.pauseQueue(queue)),
    resumeQueue: (queue) => named(queue, storage.resumeQueue(queue)),
    pausedQueues: transient.retry(storage.pausedQueues),
    prune: ({ age, states = ["completed", "failed", "cancelled"] }) =>
      Effect.gen(function* () {
        const millis = option.millis("age", age)
        if (typeof millis !== "number") return yield* millis
        let total = 0
        while (true) {
          const removed = yield* transient.retry(storage.prune(states, millis, pruneBatch))
          total += removed
          if (removed < pruneBatch) return total
        }
      }),
    putSchedule: (schedule) =>
      Effect.flatMap(schedules.put(storage, [schedule], steady), ([row]) =>
        row === undefined ? Effect.dieMessage("the storage answered no item") : Effect.succeed(row)
      ),
    getSchedule,
    listSchedules: ({ after, limit = 50 } = {}) => {
      const refusal = option.int("limit", limit, 1, pageMax)
      if (refusal !== undefined) return Effect.fail(refusal)
      return Effect.map(transient.retry(storage.listSchedules({ after, limit })), (rows) => ({
        schedules: rows,
        next: rows.length < limit ? undefined : rows[rows.length - 1]?.id
      }))
    },
    enableSchedule: (id) =>
      Effect.gen(function* () {
        const row = yield* getSchedule(id)
        const next = schedules.firstSlot(
          yield* Recurrence.fromString(row.recurrence),
          yield* steady(schedules.now(storage))
        )
        if (next instanceof InvalidOption) return yield* next
        yield* oneSchedule(id, storage.enableSchedules([{ id, enabled: true, next }]))
      }),
    disableSchedule: (id) => oneSchedule(id, storage.enableSchedules([{ id, enabled: false, next: null }])),
    removeSchedule: (id) => oneSchedule(id, storage.removeSchedules([id])),
    triggerSchedule: (id) =>
      Effect.gen(function* () {
        const context = yield* Effect.context<never>()
        const row = yield* getSchedule(id)
        const triggered: NewJob = {
          id: yield* Effect.map(Clock.currentTimeMillis, idAt),
          name: row.job,
          queue: row.queue,
          priority: row.priority,
          payload: row.payload,
          due: { delay: 0 },
          maxAttempts: row.maxAttempts,
          uniqueKey: row.uniqueKey,
          tags: [],
          traceparent: trace.current(context),
          scheduleId: row.id,
          slot: null
        }
        const [answer] = yield* insert([triggered], context)
        return answer === undefined ? yield* Effect.dieMessage("the storage answered no item") : answer.id
      }),
    previewSchedule: (id, n) =>
      Effect.gen(function* () {
        const refusal = option.int("n", n, 0, 10_000)
        if (refusal !== undefined) return yield* refusal
        const row = yield* getSchedule(id)
        const recurrence = yield* Recurrence.fromString(row.recurrence)
        const now = yield* transient.retry(schedules.now(storage))
        const after = row.enabled && row.next !== null ? row.next - 1 : now
        return Recurrence.upcoming(recurrence, n, after)
      })
  }
})

/**
 * The queue as a layer on any storage. It runs nothing: a program that only enqueues needs no more.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<JobQueue, never, JobStorage> = Layer.effect(JobQueue, make)

/**
 * Runs the effect in one transaction of the storage's database: what it writes and what it enqueues commit together or
 * not at all. Does not compile on a storage without transactions.
 *
 * @since 0.1.0
 * @category transactions
 */
export const withTransaction = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | StorageError, R | Transactional> =>
  Effect.flatMap(Transactional, (transactional) => transactional.withTransaction(effect))

// ---------------------------------------------------------------------------------------------------------------------
// accessors: the service's operations as functions, for programs that have a JobQueue in their context
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Writes a job durably and answers its id: the holder's where a unique key is held.
 *
 * @example
 * ```ts
 * import { Job, JobQueue } from "dbjobq"
 * import { Effect, Schema } from "effect"
 *
 * const SendEmail = Job.make("SendEmail", { payload: { to: Schema.String } })
 *
 * const program = Effect.gen(function* () {
 *   const id = yield* JobQueue.enqueue(SendEmail, { to: "ann@example.com" }, { delay: "1 hour" })
 *   yield* JobQueue.join(SendEmail, id)
 * })
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const enqueue = <J extends Job.Any>(job: J, ...args: EnqueueArgs<J>) =>
  Effect.flatMap(JobQueue, (queue) => queue.enqueue(job, ...args))

/**
 * As `enqueue`, and says whether the job is new. See `Service.enqueueOrGet`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const enqueueOrGet = <J extends Job.Any>(job: J, ...args: EnqueueArgs<J>) =>
  Effect.flatMap(JobQueue, (queue) => queue.enqueueOrGet(job, ...args))

/**
 * Writes many jobs of one definition at once; an error carries the index of its item. See `Service.enqueueAll`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const enqueueAll = <J extends Job.Any>(
  job: J,
  payloads: ReadonlyArray<Job.Payload<J>>,
  options?: EnqueueOptions | ((payload: Job.Payload<J>, index: number) => EnqueueOptions)
) => Effect.flatMap(JobQueue, (queue) => queue.enqueueAll(job, payloads, options))

/**
 * Waits for a job's end: its success, its own typed error, or what else came in between. See `Service.join`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const join = <J extends Job.Any>(job: J, id: Job.Id<J["name"]>) =>
  Effect.flatMap(JobQueue, (queue) => queue.join(job, id))

/**
 * A job's end, if it has ended. See `Service.poll`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const poll = <J extends Job.Any>(job: J, id: Job.Id<J["name"]>) =>
  Effect.flatMap(JobQueue, (queue) => queue.poll(job, id))

/**
 * A job's row as it is now. See `Service.get`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const get = (id: string) => Effect.flatMap(JobQueue, (queue) => queue.get(id))

/**
 * A page of jobs in enqueue order. See `Service.list`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const list = (options?: ListOptions) => Effect.flatMap(JobQueue, (queue) => queue.list(options))

/**
 * Cancels a job that waits at once, and has one that runs interrupted. See `Service.cancel`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const cancel = (id: string) => Effect.flatMap(JobQueue, (queue) => queue.cancel(id))

/**
 * Runs a finished job again, with fresh attempts. See `Service.rerun`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const rerun = (id: string) => Effect.flatMap(JobQueue, (queue) => queue.rerun(id))

/**
 * Moves the due time of a job that waits. See `Service.reschedule`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const reschedule = (
  id: string,
  due: { readonly delay: Duration.DurationInput } | { readonly runAt: Date | number }
) => Effect.flatMap(JobQueue, (queue) => queue.reschedule(id, due))

/**
 * Deletes a job that is not running. See `Service.remove`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const remove = (id: string) => Effect.flatMap(JobQueue, (queue) => queue.remove(id))

/**
 * From now on no worker claims jobs of the queue. See `Service.pauseQueue`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const pauseQueue = (name: string) => Effect.flatMap(JobQueue, (queue) => queue.pauseQueue(name))

/**
 * Ends a pause. See `Service.resumeQueue`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const resumeQueue = (name: string) => Effect.flatMap(JobQueue, (queue) => queue.resumeQueue(name))

/**
 * Removes jobs that finished long enough ago; answers how many. See `Service.prune`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const prune = (options: Parameters<Service["prune"]>[0]) =>
  Effect.flatMap(JobQueue, (queue) => queue.prune(options))

/**
 * Every job that the filter means, in enqueue order. See `Service.stream`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const stream = (filter?: Filter): Stream.Stream<JobRow, InvalidOption | StorageError, JobQueue> =>
  Stream.unwrap(Effect.map(JobQueue, (queue) => queue.stream(filter)))

/**
 * How many jobs of each state there are in each queue. See `Service.counts`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const counts = Effect.flatMap(JobQueue, (queue) => queue.counts)

/**
 * The names of the paused queues. See `Service.pausedQueues`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const pausedQueues = Effect.flatMap(JobQueue, (queue) => queue.pausedQueues)

/**
 * Creates or edits a schedule; answers its row. See `Service.putSchedule`.
 *
 * @since 0.1.0
 * @category schedules
 */
export const putSchedule = (schedule: JobSchedule.Any) =>
  Effect.flatMap(JobQueue, (queue) => queue.putSchedule(schedule))

/**
 * A schedule's row as it is now. See `Service.getSchedule`.
 *
 * @since 0.1.0
 * @category schedules
 */
export const getSchedule = (id: string) => Effect.flatMap(JobQueue, (queue) => queue.getSchedule(id))

/**
 * A page of schedules in the order of ids. See `Service.listSchedules`.
 *
 * @since 0.1.0
 * @category schedules
 */
export const listSchedules = (options?: ListSchedulesOptions) =>
  Effect.flatMap(JobQueue, (queue) => queue.listSchedules(options))

/**
 * Turns a schedule on. See `Service.enableSchedule`.
 *
 * @since 0.1.0
 * @category schedules
 */
export const enableSchedule = (id: string) => Effect.flatMap(JobQueue, (queue) => queue.enableSchedule(id))

/**
 * Turns a schedule off: once this returns, no worker fires it. See `Service.disableSchedule`.
 *
 * @since 0.1.0
 * @category schedules
 */
export const disableSchedule = (id: string) => Effect.flatMap(JobQueue, (queue) => queue.disableSchedule(id))

/**
 * Forgets a schedule. The jobs it fired stay. See `Service.removeSchedule`.
 *
 * @since 0.1.0
 * @category schedules
 */
export const removeSchedule = (id: string) => Effect.flatMap(JobQueue, (queue) => queue.removeSchedule(id))

/**
 * Enqueues a schedule's job now; answers the job's id. See `Service.triggerSchedule`.
 *
 * @since 0.1.0
 * @category schedules
 */
export const triggerSchedule = (id: string) => Effect.flatMap(JobQueue, (queue) => queue.triggerSchedule(id))

/**
 * A schedule's next slots. See `Service.previewSchedule`.
 *
 * @since 0.1.0
 * @category schedules
 */
export const previewSchedule = (id: string, n: number) =>
  Effect.flatMap(JobQueue, (queue) => queue.previewSchedule(id, n))
