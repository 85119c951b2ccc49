/**
 * Producing jobs, waiting for them, looking at them, and operating queues.
 *
 * @since 0.1.0
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as finished from "./internal/finished.js"
import * as ids from "./internal/id.js"
import * as metrics from "./internal/metrics.js"
import * as option from "./internal/option.js"
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
 * @since 0.1.0
 * @category models
 */
export interface EnqueueOptions {
  /** Not before this long from now, by the store's clock. Not together with `runAt`. */
  readonly delay?: Duration.DurationInput | undefined
  /** Not before this instant (a Date or epoch milliseconds). */
  readonly runAt?: Date | number | undefined
  /** Default: the job's. */
  readonly priority?: number | undefined
  /** Retries after the first attempt. Default: the job's. */
  readonly retries?: number | undefined
  /** Default: the job's. */
  readonly queue?: string | undefined
  /** 1 to 100 printable characters. Default a UUIDv7. An id that exists under the same job adds nothing. */
  readonly id?: string | undefined
  /** Default: the job's `uniqueKey` of the payload. */
  readonly uniqueKey?: string | undefined
  /** At most 20, each 1 to 100 characters. */
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
 * @since 0.1.0
 * @category models
 */
export interface Page {
  readonly jobs: ReadonlyArray<JobRow>
  /** Give it to the next call as `after`; undefined on the last page. */
  readonly next: string | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ListOptions extends Filter {
  readonly after?: string | undefined
  /** 1 to 200, default 50. */
  readonly limit?: number | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Writes a job durably and answers its id: the holder's where a unique key is held. */
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
  /** Waits for the job's end. Looks every 50 ms at first, then less often, up to once a second. */
  readonly join: <J extends Job.Any>(
    job: J,
    id: Job.Id<J["name"]>
  ) => Effect.Effect<
    Job.Success<J>,
    Job.Error<J> | JobFailed | JobCancelled | JobNotFound | ResultError | StorageError | InvalidOption
  >
  /** The job's end, if it has ended. */
  readonly poll: <J extends Job.Any>(
    job: J,
    id: Job.Id<J["name"]>
  ) => Effect.Effect<
    Option.Option<Exit.Exit<Job.Success<J>, Job.Error<J> | JobFailed | JobCancelled>>,
    JobNotFound | ResultError | StorageError
  >
  readonly get: (id: string) => Effect.Effect<JobRow, JobNotFound | StorageError>
  /** A page in enqueue order. */
  readonly list: (options?: ListOptions) => Effect.Effect<Page, InvalidOption | StorageError>
  /** Every match, page by page, in enqueue order. */
  readonly stream: (filter?: Filter) => Stream.Stream<JobRow, InvalidOption | StorageError>
  readonly counts: Effect.Effect<ReadonlyArray<Count>, StorageError>
  /** `requested`: it is running, and its worker will interrupt it within a third of the lease. */
  readonly cancel: (id: string) => Effect.Effect<"cancelled" | "requested" | "finished", JobNotFound | StorageError>
  /** Runs a finished job again as a new generation with fresh attempts. */
  readonly rerun: (id: string) => Effect.Effect<"rerun" | "unfinished" | "duplicate", JobNotFound | StorageError>
  readonly reschedule: (
    id: string,
    due: { readonly delay: Duration.DurationInput } | { readonly runAt: Date | number }
  ) => Effect.Effect<"rescheduled" | "running" | "finished", JobNotFound | InvalidOption | StorageError>
  /** Deletes a job that is not running. */
  readonly remove: (id: string) => Effect.Effect<"removed" | "running", JobNotFound | StorageError>
  /** Durable, and seen by every worker's next claim. Jobs already running go on. */
  readonly pauseQueue: (queue: string) => Effect.Effect<void, InvalidOption | StorageError>
  readonly resumeQueue: (queue: string) => Effect.Effect<void, InvalidOption | StorageError>
  readonly pausedQueues: Effect.Effect<ReadonlyArray<string>, StorageError>
  /** Removes finished jobs older than `age`; answers how many. */
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
 * @since 0.1.0
 * @category models
 */
export interface SchedulePage {
  readonly schedules: ReadonlyArray<ScheduleRow>
  /** Give it to the next call as `after`; undefined on the last page. */
  readonly next: string | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ListSchedulesOptions {
  readonly after?: string | undefined
  /** 1 to 200, default 50. */
  readonly limit?: number | undefined
}

/**
 * @since 0.1.0
 * @category tags
 */
export class JobQueue extends Context.Tag("dbjobq/JobQueue")<JobQueue, Service>() {}

const pageMax = 200
const pruneBatch = 1_000

const instant = (value: Date | number): number => (typeof value === "number" ? value : value.getTime())

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
      : new InvalidOption({ field: "runAt", rule: "must be a valid instant in whole milliseconds" })
  }
  const delay = option.millis("delay", options.delay ?? 0)
  return typeof delay === "number" ? { delay: Math.ceil(delay) } : delay
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Service, never, JobStorage> = Effect.gen(function* () {
  const storage = yield* JobStorage
  const transactional = yield* Effect.serviceOption(Transactional)

  // a retry of its own inside the caller's transaction could only fail again: the transaction is broken by then
  const steady = <A, E>(effect: Effect.Effect<A, E | StorageError>): Effect.Effect<A, E | StorageError> =>
    Option.isNone(transactional)
      ? transient.retry(effect)
      : Effect.flatMap(transactional.value.inTransaction, (inside) => (inside ? effect : transient.retry(effect)))

  const newJob = (
    job: Job.Any,
    payload: unknown,
    options: EnqueueOptions,
    id: string,
    traceparent: string | null
  ): Effect.Effect<NewJob, PayloadError | InvalidOption> =>
    Effect.gen(function* () {
      const due = dueOf(options)
      if (due instanceof InvalidOption) return yield* due
      const queue = options.queue ?? job.queue
      const priority = options.priority ?? job.priority
      const retries = options.retries ?? job.retries
      const refusal =
        option.name("queue", queue) ??
        option.priority("priority", priority) ??
        option.int("retries", retries, 0, 1_000_000) ??
        option.tags("tags", options.tags ?? []) ??
        (options.uniqueKey === undefined ? undefined : option.uniqueKey("uniqueKey", options.uniqueKey)) ??
        option.id("id", id)
      if (refusal !== undefined) return yield* refusal
      const encoded = yield* job.encodePayload(payload, storage.capabilities.limits.payloadBytes)
      return {
        id,
        name: job.name,
        queue,
        priority,
        payload: encoded.text,
        due,
        maxAttempts: retries + 1,
        uniqueKey: options.uniqueKey ?? encoded.uniqueKey ?? null,
        tags: options.tags ?? [],
        traceparent,
        scheduleId: null,
        slot: null
      }
    })

  let warned = false
  // the jobs are written all the same: it is the caller who believes them to be part of the transaction
  const warnOutside = Effect.gen(function* () {
    if (warned || Option.isNone(yield* Effect.serviceOption(SqlClient.TransactionConnection))) return
    if (Option.isSome(transactional) && (yield* transactional.value.inTransaction)) return
    warned = true
    yield* Effect.logWarning(
      `dbjobq: a job is enqueued inside an open SQL transaction that the ${storage.capabilities.storage} storage is not part of; it stays when that transaction rolls back`
    )
  })

  const written = (rows: ReadonlyArray<NewJob>): Effect.Effect<ReadonlyArray<Inserted>, InvalidOption | StorageError> =>
    Effect.flatMap(storage.insert(rows), (answers) => {
      const conflict = answers.findIndex((answer) => answer.answer === "conflict")
      return conflict < 0
        ? Effect.succeed(answers)
        : Effect.fail(
            new InvalidOption({
              field: "id",
              rule: "belongs to a job of another name",
              ...(rows.length > 1 ? { index: conflict } : {})
            })
          )
    })

  /** `given`: some ids are the caller's, so one may be refused, and then none should be there where that is possible. */
  const insert = (rows: ReadonlyArray<NewJob>, given = false) =>
    Effect.zipRight(
      warnOutside,
      steady(
        rows.length > 1 && given && Option.isSome(transactional)
          ? transactional.value.withTransaction(written(rows))
          : written(rows)
      )
    )

  const enqueueOrGet: Service["enqueueOrGet"] = (job, ...[payload, options = {}]) =>
    Effect.gen(function* () {
      const id = options.id ?? (yield* ids.make(1))[0] ?? ""
      const row = yield* newJob(job, payload, options, id, yield* trace.current)
      const [answer] = yield* insert([row])
      yield* metrics.enqueued(job.name, answer?.created === true ? 1 : 0)
      // a repeat after a lost reply finds its own row: an id made here is new to the caller either way
      return answer === undefined
        ? yield* Effect.dieMessage("the storage answered no item")
        : {
            id: Job.id(job, answer.id),
            created: answer.created || (options.id === undefined && answer.answer === "inserted")
          }
    }).pipe(trace.enqueuing(job.name))

  const enqueueAll: Service["enqueueAll"] = (job, payloads, options) =>
    Effect.gen(function* () {
      if (payloads.length === 0) return []
      const made = yield* ids.make(payloads.length)
      const traceparent = yield* trace.current
      const rows: Array<NewJob> = []
      for (let index = 0; index < payloads.length; index++) {
        const payload = payloads[index]
        const own = payload === undefined || typeof options !== "function" ? options : options(payload, index)
        const item = typeof own === "object" ? own : {}
        rows.push(
          yield* Effect.mapError(newJob(job, payload, item, item.id ?? made[index] ?? "", traceparent), (error) =>
            error.at(index)
          )
        )
      }
      const given = rows.some((row, index) => row.id !== made[index])
      const answers = yield* insert(rows, given)
      yield* metrics.enqueued(job.name, answers.filter((answer) => answer.created).length)
      return answers.map((answer) => Job.id(job, answer.id))
    }).pipe(trace.enqueuing(job.name))

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
    enqueue: (job, ...args) => Effect.map(enqueueOrGet(job, ...args), ({ id }) => id),
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
        const row = yield* getSchedule(id)
        const [answer] = yield* insert([
          {
            id: (yield* ids.make(1))[0] ?? "",
            name: row.job,
            queue: row.queue,
            priority: row.priority,
            payload: row.payload,
            due: { delay: 0 },
            maxAttempts: row.maxAttempts,
            uniqueKey: row.uniqueKey,
            tags: [],
            traceparent: yield* trace.current,
            scheduleId: row.id,
            slot: null
          }
        ])
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
 * See `Service.enqueue`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const enqueue = <J extends Job.Any>(job: J, ...args: EnqueueArgs<J>) =>
  Effect.flatMap(JobQueue, (queue) => queue.enqueue(job, ...args))

/**
 * See `Service.enqueueOrGet`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const enqueueOrGet = <J extends Job.Any>(job: J, ...args: EnqueueArgs<J>) =>
  Effect.flatMap(JobQueue, (queue) => queue.enqueueOrGet(job, ...args))

/**
 * See `Service.enqueueAll`.
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
 * See `Service.join`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const join = <J extends Job.Any>(job: J, id: Job.Id<J["name"]>) =>
  Effect.flatMap(JobQueue, (queue) => queue.join(job, id))

/**
 * See `Service.poll`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const poll = <J extends Job.Any>(job: J, id: Job.Id<J["name"]>) =>
  Effect.flatMap(JobQueue, (queue) => queue.poll(job, id))

/**
 * See `Service.get`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const get = (id: string) => Effect.flatMap(JobQueue, (queue) => queue.get(id))

/**
 * See `Service.list`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const list = (options?: ListOptions) => Effect.flatMap(JobQueue, (queue) => queue.list(options))

/**
 * See `Service.cancel`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const cancel = (id: string) => Effect.flatMap(JobQueue, (queue) => queue.cancel(id))

/**
 * See `Service.rerun`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const rerun = (id: string) => Effect.flatMap(JobQueue, (queue) => queue.rerun(id))

/**
 * See `Service.reschedule`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const reschedule = (
  id: string,
  due: { readonly delay: Duration.DurationInput } | { readonly runAt: Date | number }
) => Effect.flatMap(JobQueue, (queue) => queue.reschedule(id, due))

/**
 * See `Service.remove`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const remove = (id: string) => Effect.flatMap(JobQueue, (queue) => queue.remove(id))

/**
 * See `Service.pauseQueue`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const pauseQueue = (name: string) => Effect.flatMap(JobQueue, (queue) => queue.pauseQueue(name))

/**
 * See `Service.resumeQueue`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const resumeQueue = (name: string) => Effect.flatMap(JobQueue, (queue) => queue.resumeQueue(name))

/**
 * See `Service.prune`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const prune = (options: Parameters<Service["prune"]>[0]) =>
  Effect.flatMap(JobQueue, (queue) => queue.prune(options))

/**
 * See `Service.stream`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const stream = (filter?: Filter): Stream.Stream<JobRow, InvalidOption | StorageError, JobQueue> =>
  Stream.unwrap(Effect.map(JobQueue, (queue) => queue.stream(filter)))

/**
 * See `Service.counts`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const counts = Effect.flatMap(JobQueue, (queue) => queue.counts)

/**
 * See `Service.pausedQueues`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const pausedQueues = Effect.flatMap(JobQueue, (queue) => queue.pausedQueues)

/**
 * See `Service.putSchedule`.
 *
 * @since 0.1.0
 * @category schedules
 */
export const putSchedule = (schedule: JobSchedule.Any) =>
  Effect.flatMap(JobQueue, (queue) => queue.putSchedule(schedule))

/**
 * See `Service.getSchedule`.
 *
 * @since 0.1.0
 * @category schedules
 */
export const getSchedule = (id: string) => Effect.flatMap(JobQueue, (queue) => queue.getSchedule(id))

/**
 * See `Service.listSchedules`.
 *
 * @since 0.1.0
 * @category schedules
 */
export const listSchedules = (options?: ListSchedulesOptions) =>
  Effect.flatMap(JobQueue, (queue) => queue.listSchedules(options))

/**
 * See `Service.enableSchedule`.
 *
 * @since 0.1.0
 * @category schedules
 */
export const enableSchedule = (id: string) => Effect.flatMap(JobQueue, (queue) => queue.enableSchedule(id))

/**
 * See `Service.disableSchedule`.
 *
 * @since 0.1.0
 * @category schedules
 */
export const disableSchedule = (id: string) => Effect.flatMap(JobQueue, (queue) => queue.disableSchedule(id))

/**
 * See `Service.removeSchedule`.
 *
 * @since 0.1.0
 * @category schedules
 */
export const removeSchedule = (id: string) => Effect.flatMap(JobQueue, (queue) => queue.removeSchedule(id))

/**
 * See `Service.triggerSchedule`.
 *
 * @since 0.1.0
 * @category schedules
 */
export const triggerSchedule = (id: string) => Effect.flatMap(JobQueue, (queue) => queue.triggerSchedule(id))

/**
 * See `Service.previewSchedule`.
 *
 * @since 0.1.0
 * @category schedules
 */
export const previewSchedule = (id: string, n: number) =>
  Effect.flatMap(JobQueue, (queue) => queue.previewSchedule(id, n))
