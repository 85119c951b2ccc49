/**
 * The storage seam: what a database must do to be a job queue.
 *
 * `JobQueue` and `Worker` use the service; each storage module provides it as a Layer. Values that cross the seam are
 * plain: strings, JSON text, epoch milliseconds. Every operation takes and returns batches in the same order, is atomic
 * per item (`insert` as a whole), and may be repeated after a lost reply without doing anything twice.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { StorageError } from "./JobError.js"

/**
 * `scheduled` (due later) → `pending` → `running` → `completed` | `failed` | `cancelled`.
 *
 * @since 0.1.0
 * @category models
 */
export type State = "scheduled" | "pending" | "running" | "completed" | "failed" | "cancelled"

/**
 * A job row. Times are epoch milliseconds; `payload`, `result` and `failure` are JSON text.
 *
 * @since 0.1.0
 * @category models
 */
export interface JobRow {
  /** A UUIDv7 unless the caller chose it: ids sort in enqueue order. */
  readonly id: string
  readonly name: string
  readonly queue: string
  readonly state: State
  /** Higher first; int32. */
  readonly priority: number
  readonly payload: string
  readonly runAt: number
  /** Attempts used in this generation, the running one included. */
  readonly attempt: number
  readonly maxAttempts: number
  /** Leases lost in this generation because a process vanished. */
  readonly crashes: number
  /** 1, and one more for each `rerun`. */
  readonly generation: number
  /** The fencing token: grows with each claim and with each change made over a holder's head. */
  readonly token: number
  /** The worker that holds the job, while running. */
  readonly owner: string | null
  readonly leaseUntil: number | null
  readonly cancelRequested: boolean
  readonly uniqueKey: string | null
  readonly tags: ReadonlyArray<string>
  readonly result: string | null
  readonly failure: string | null
  readonly progress: number | null
  readonly progressMessage: string | null
  /** W3C trace context of the enqueuing span. */
  readonly traceparent: string | null
  /** The schedule that fired the job. */
  readonly scheduleId: string | null
  /** The slot it was fired for; null when triggered by hand. */
  readonly slot: number | null
  readonly enqueuedAt: number
  readonly startedAt: number | null
  readonly finishedAt: number | null
}

/**
 * What a claim hands to a worker: the part of the row that an attempt needs.
 *
 * @since 0.1.0
 * @category models
 */
export type ClaimedJob = Pick<
  JobRow,
  | "id"
  | "name"
  | "queue"
  | "priority"
  | "payload"
  | "runAt"
  | "attempt"
  | "maxAttempts"
  | "token"
  | "traceparent"
  | "scheduleId"
  | "slot"
  | "enqueuedAt"
>

/**
 * When a job becomes due: `delay` milliseconds from now by the store's clock, or at an absolute instant.
 *
 * @since 0.1.0
 * @category models
 */
export type Due = { readonly delay: number } | { readonly runAt: number }

/**
 * A row to insert.
 *
 * @since 0.1.0
 * @category models
 */
export interface NewJob {
  readonly id: string
  readonly name: string
  readonly queue: string
  readonly priority: number
  readonly payload: string
  readonly due: Due
  readonly maxAttempts: number
  readonly uniqueKey: string | null
  readonly tags: ReadonlyArray<string>
  readonly traceparent: string | null
  readonly scheduleId: string | null
  readonly slot: number | null
}

/**
 * - `inserted`: the row is there now (also when a repeat finds its own earlier row, same id and name)
 * - `duplicate`: an unfinished job of that name holds the unique key; `id` is the holder's
 * - `conflict`: the id belongs to a job of another name; nothing was written for this item
 *
 * `created` is false when the row was already there before this call.
 *
 * @since 0.1.0
 * @category models
 */
export interface Inserted {
  readonly id: string
  readonly answer: "inserted" | "duplicate" | "conflict"
  readonly created: boolean
}

/**
 * What a worker asks for.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClaimRequest {
  /** Only jobs of these names. */
  readonly names: ReadonlyArray<string>
  /** Only these queues; all when undefined. */
  readonly queues?: ReadonlyArray<string> | undefined
  /** None of these queues. */
  readonly exceptQueues?: ReadonlyArray<string> | undefined
  readonly limit: number
  /** The worker that will hold the jobs. */
  readonly owner: string
  /** Lease length in milliseconds. */
  readonly lease: number
}

/**
 * Names one hold on one job.
 *
 * @since 0.1.0
 * @category models
 */
export interface Hold {
  readonly id: string
  readonly token: number
}

/**
 * How an attempt ended. Accepted only while `(id, token)` still holds a running row; when that very outcome is already
 * recorded under this token (a repeat after a lost reply) the answer is accepted too.
 *
 * `retry`, `snooze` and `release` of a job whose cancellation was requested end it as cancelled.
 * `snooze` and `release` give the attempt back.
 *
 * @since 0.1.0
 * @category models
 */
export type Outcome = Hold &
  (
    | { readonly to: "complete"; readonly result: string | null }
    | { readonly to: "retry"; readonly delay: number; readonly failure: string }
    | { readonly to: "fail"; readonly failure: string }
    | { readonly to: "cancel" }
    | { readonly to: "snooze"; readonly delay: number }
    | { readonly to: "release" }
  )

/**
 * How a sweep treats what it finds.
 *
 * @since 0.1.0
 * @category models
 */
export interface SweepRequest {
  /** At most this many rows per kind of work in one call. */
  readonly limit: number
  /** A job whose process vanished this many times in one generation ends as failed. */
  readonly crashLimit: number
  /** The failure recorded then, as JSON text. */
  readonly crashFailure: string
  /** Milliseconds that finished rows are kept; undefined keeps them for ever. */
  readonly retention: { readonly [S in "completed" | "failed" | "cancelled"]?: number | undefined }
}

/**
 * What a sweep has done.
 *
 * @since 0.1.0
 * @category models
 */
export interface Swept {
  /** Expired leases put back to pending. */
  readonly rescued: number
  /** Expired leases ended as failed (crash limit or last attempt) or cancelled. */
  readonly ended: number
  /** Finished rows removed. */
  readonly removed: number
  /**
   * Milliseconds until there may be something to sweep again, from storages whose wake-ups are `exact`; undefined when
   * nothing is in sight.
   */
  readonly nextIn?: number | undefined
}

/**
 * What `list` and `stream` select. Every member narrows; instants are epoch milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Filter {
  readonly states?: ReadonlyArray<State> | undefined
  readonly queues?: ReadonlyArray<string> | undefined
  readonly names?: ReadonlyArray<string> | undefined
  readonly tag?: string | undefined
  /** Enqueued at or after this instant. */
  readonly from?: number | undefined
  /** Enqueued before this instant. */
  readonly until?: number | undefined
}

/**
 * One page, in ascending id order, of rows whose id is greater than `after`.
 *
 * @since 0.1.0
 * @category models
 */
export interface PageRequest {
  readonly filter: Filter
  readonly after?: string | undefined
  readonly limit: number
}

/**
 * How many jobs of one state there are in one queue.
 *
 * @since 0.1.0
 * @category models
 */
export interface Count {
  readonly queue: string
  readonly state: State
  readonly count: number
}

/**
 * What a storage can do beyond the seam's minimum.
 *
 * @since 0.1.0
 * @category models
 */
export interface Capabilities {
  /** A short name for logs, for example `postgres`. */
  readonly storage: string
  /** Enqueues and completions join the SQL transaction the caller has open. */
  readonly transactional: boolean
  /**
   * - `none`: `wakeups` says nothing; workers poll
   * - `hint`: most changes are told at once; workers poll as well, for those that are not
   * - `exact`: every change is told, so workers sleep until the next known instant and never poll
   */
  readonly wakeups: "none" | "hint" | "exact"
  /** Due times and leases are judged by the database's clock rather than Effect's. */
  readonly storeClock: boolean
  /** Survives the end of the process. */
  readonly durable: boolean
  readonly limits: {
    /** Largest payload in bytes of JSON; Infinity when the storage sets none of its own. */
    readonly payloadBytes: number
    /** Largest result or typed error in bytes of JSON; Infinity when the storage sets none of its own. */
    readonly resultBytes: number
    /** Most jobs that one `insert` writes all or nothing; Infinity when any number. */
    readonly atomicInsert: number
  }
}

/**
 * A hint that jobs have become due, or that a schedule was put, enabled or changed.
 *
 * @since 0.1.0
 * @category models
 */
export type Wakeup = "jobs" | "schedules"

/**
 * What a schedule fires, and when. `recurrence` and `payload` are text.
 *
 * @since 0.1.0
 * @category models
 */
export interface ScheduleDefinition {
  readonly id: string
  /** Name of the job it fires. */
  readonly job: string
  readonly queue: string
  readonly priority: number
  readonly payload: string
  readonly maxAttempts: number
  readonly uniqueKey: string | null
  readonly recurrence: string
  /** How many missed slots still run, the latest ones: 0 none, 1 once. */
  readonly missed: number
  /** `skip`: no job is inserted while the one fired last is unfinished. */
  readonly overlap: "allow" | "skip"
  /** Milliseconds over which the due times of the jobs are spread behind their slots. */
  readonly jitter: number
}

/**
 * A schedule row.
 *
 * @since 0.1.0
 * @category models
 */
export interface ScheduleRow extends ScheduleDefinition {
  readonly enabled: boolean
  /** Why the library disabled it, if it did. */
  readonly disabledReason: string | null
  /** Grows with each change of the definition or of `enabled`: it fences `fire`. */
  readonly version: number
  /** The cursor: the slot that fires next. Null when there is none. */
  readonly next: number | null
  /** The slot fired last, the job it became, and when. */
  readonly lastSlot: number | null
  readonly lastJob: string | null
  readonly lastFiredAt: number | null
  /** Slots that became a job. */
  readonly fired: number
  /** Slots that did not. */
  readonly skipped: number
  readonly lastSkipReason: SkipReason | null
}

/**
 * - `missed`: found too late, and the policy for missed slots passes over it
 * - `overlap`: the job fired before was unfinished
 * - `duplicate`: an unfinished job held the unique key
 *
 * @since 0.1.0
 * @category models
 */
export type SkipReason = "missed" | "overlap" | "duplicate"

/**
 * A schedule to create or edit.
 *
 * @since 0.1.0
 * @category models
 */
export interface PutSchedule extends ScheduleDefinition {
  /** Undefined keeps what the row says, and is true for a new one. */
  readonly enabled: boolean | undefined
  /** The first slot of a new row, and of a row whose recurrence changes or which this put enables. */
  readonly next: number | null
}

/**
 * Advances a schedule's cursor and inserts the jobs of the slots it passes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Fire {
  readonly schedule: string
  /** Version and cursor as they were read: nothing happens unless both still hold and the schedule is enabled. */
  readonly version: number
  readonly slot: number
  /** The cursor from now on. */
  readonly next: number | null
  /** One job per slot that runs, oldest first. Their ids are functions of (schedule, slot), so none is there twice. */
  readonly jobs: ReadonlyArray<NewJob>
  /** Slots passed over by the policy for missed ones, counted as `missed`. */
  readonly skipped: number
  /** `skip`: when the job fired last is unfinished, none is inserted and all count as skipped. At most one job then. */
  readonly overlap: "allow" | "skip"
  /** Disables the schedule for this reason. */
  readonly disable: string | null
}

/**
 * `stale`: version or cursor no longer held, or the schedule is disabled or gone; nothing changed. Repeating a fire
 * whose reply was lost is `stale` too.
 *
 * @since 0.1.0
 * @category models
 */
export type Fired = { readonly answer: "fired"; readonly jobs: number } | { readonly answer: "stale" }

/**
 * The driver interface that every storage implements. Batches are answered in their order; an empty one is ordinary. For
 * what each operation answers for a row, and makes of it, see `Rows`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly capabilities: Capabilities

  /** One write, all or nothing, in the caller's transaction where there is one. An ordinary conflict never aborts it. */
  readonly insert: (jobs: ReadonlyArray<NewJob>) => Effect.Effect<ReadonlyArray<Inserted>, StorageError>

  /**
   * Takes the best pending rows (priority high first, then `runAt`, then id) of known names in unpaused queues:
   * state running, attempt and token up by one, lease set. Never more than `limit`, returned in that order. A storage may
   * go on where a full claim of a hundred rows or more has ended, and see for half a second at most nothing that has come
   * before that place since; a claim that finds fewer than `limit` rows has looked at all.
   */
  readonly claim: (request: ClaimRequest) => Effect.Effect<ReadonlyArray<ClaimedJob>, StorageError>

  /** Due scheduled rows → pending, at most `limit`; answers how many, and in how many milliseconds the next is due. */
  readonly promote: (
    limit: number
  ) => Effect.Effect<{ readonly promoted: number; readonly nextIn: number | undefined }, StorageError>

  /** Records how attempts ended; answers per item whether it was accepted (see `Outcome`). */
  readonly settle: (outcomes: ReadonlyArray<Outcome>) => Effect.Effect<ReadonlyArray<boolean>, StorageError>

  /** Extends leases to `lease` milliseconds from now; `lost` when the hold is no longer good. */
  readonly renew: (
    holds: ReadonlyArray<Hold>,
    lease: number
  ) => Effect.Effect<ReadonlyArray<"held" | "lost" | "cancelRequested">, StorageError>

  /** Progress of a running job; false when the hold is no longer good. */
  readonly progress: (hold: Hold, progress: number, message: string | null) => Effect.Effect<boolean, StorageError>

  /** Expired leases → pending, or to their end; finished rows past retention are removed. Bounded by `limit`. */
  readonly sweep: (request: SweepRequest) => Effect.Effect<Swept, StorageError>

  /** Pending and scheduled → cancelled at once (so is the answer for a row that is cancelled already); running → marked. */
  readonly cancel: (
    ids: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<"cancelled" | "requested" | "finished" | "notFound">, StorageError>

  /**
   * Finished → pending as a new generation: attempts, crashes, failure, result and progress cleared, `maxAttempts`
   * kept. `duplicate` when an unfinished job now holds the row's unique key.
   */
  readonly rerun: (
    ids: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<"rerun" | "unfinished" | "duplicate" | "notFound">, StorageError>

  /** Moves the due time of pending and scheduled rows. */
  readonly reschedule: (
    ids: ReadonlyArray<string>,
    due: Due
  ) => Effect.Effect<ReadonlyArray<"rescheduled" | "running" | "finished" | "notFound">, StorageError>

  /** Deletes rows that are not running. */
  readonly remove: (
    ids: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<"removed" | "running" | "notFound">, StorageError>

  /** The rows that exist, in no particular order. */
  readonly get: (ids: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<JobRow>, StorageError>

  /** One page in ascending id order: rows may change their states between pages, and none is seen twice or left out. */
  readonly list: (page: PageRequest) => Effect.Effect<ReadonlyArray<JobRow>, StorageError>

  /** Only combinations that have rows. */
  readonly counts: Effect.Effect<ReadonlyArray<Count>, StorageError>

  /** No claim that begins after this returns takes a job of the queue. Durable; harmless when repeated. */
  readonly pauseQueue: (queue: string) => Effect.Effect<void, StorageError>

  /** Harmless when it is not paused. */
  readonly resumeQueue: (queue: string) => Effect.Effect<void, StorageError>

  /** In no particular order. */
  readonly pausedQueues: Effect.Effect<ReadonlyArray<string>, StorageError>

  /** Removes finished rows of these states older than `age` milliseconds, at most `limit`; answers how many. */
  readonly prune: (
    states: ReadonlyArray<"completed" | "failed" | "cancelled">,
    age: number,
    limit: number
  ) => Effect.Effect<number, StorageError>

  /**
   * Inserts or updates. An unchanged definition changes nothing. The cursor is kept unless the recurrence changes or the
   * put enables a disabled schedule; counters are kept. Answers the rows as they are now.
   */
  readonly putSchedules: (
    schedules: ReadonlyArray<PutSchedule>
  ) => Effect.Effect<ReadonlyArray<ScheduleRow>, StorageError>

  /** Answers per item whether there was one. Its jobs stay. */
  readonly removeSchedules: (ids: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<boolean>, StorageError>

  /**
   * Enables or disables; `next` becomes the cursor of a schedule that was disabled. No fire that begins after a disable
   * has returned inserts a job. Answers per item whether there is one.
   */
  readonly enableSchedules: (
    changes: ReadonlyArray<{ readonly id: string; readonly enabled: boolean; readonly next: number | null }>
  ) => Effect.Effect<ReadonlyArray<boolean>, StorageError>

  /** The rows that exist, in no particular order. */
  readonly getSchedules: (ids: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<ScheduleRow>, StorageError>

  /** One page in ascending id order, of ids greater than `after`. */
  readonly listSchedules: (page: {
    readonly after?: string | undefined
    readonly limit: number
  }) => Effect.Effect<ReadonlyArray<ScheduleRow>, StorageError>

  /**
   * Enabled schedules whose cursor is due by the storage's clock, earliest first; `now` is that clock, and `nextIn` the
   * milliseconds to the earliest cursor that is not due yet.
   */
  readonly dueSchedules: (limit: number) => Effect.Effect<
    {
      readonly now: number
      readonly due: ReadonlyArray<ScheduleRow>
      readonly nextIn: number | undefined
    },
    StorageError
  >

  /** Each item in one atomic step: the cursor advances and the jobs are there, or neither. */
  readonly fire: (fires: ReadonlyArray<Fire>) => Effect.Effect<ReadonlyArray<Fired>, StorageError>

  /**
   * Hints that there may be something to do: they may miss, unless `exact`, and repeat. A stream begins with one of each
   * kind once it listens, and again when it has had to listen anew: what happened before is not told. Ends never by
   * itself.
   */
  readonly wakeups: Stream.Stream<Wakeup, StorageError>
}

/**
 * The storage service. Applications use `JobQueue` and `Worker`, which need it; a storage's layer provides it.
 *
 * @since 0.1.0
 * @category tags
 */
export class JobStorage extends Context.Tag("dbjobq/JobStorage")<JobStorage, Service>() {}

/**
 * The capability of a storage whose writes join a transaction. Only storages that have it provide this tag, so asking
 * for `JobQueue.withTransaction` or a transactional handler on another storage does not compile.
 *
 * @since 0.1.0
 * @category tags
 */
export class Transactional extends Context.Tag("dbjobq/JobStorage/Transactional")<
  Transactional,
  {
    /**
     * Runs the effect in one transaction of the storage's database; a failing COMMIT is a `StorageError`. Nested calls
     * are savepoints.
     */
    readonly withTransaction: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StorageError, R>
    /** Whether the running fiber is inside a transaction. */
    readonly inTransaction: Effect.Effect<boolean>
    /** Runs the effect outside any transaction the fiber may have inherited. */
    readonly detached: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
    /**
     * Where nobody else writes while a transaction is open: a permit that each transactional handler holds while it has
     * its turn, so that its time does not pass while it waits for others.
     */
    readonly turn?: Effect.Semaphore | undefined
  }
>() {}
