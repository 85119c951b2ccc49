/**
 * For those who write a storage: which rows each operation means, what it answers, and what becomes of them. The whole
 * state graph as pure functions.
 *
 * A storage that reads rows, works out what becomes of them and writes them back (in a transaction, or if they have not
 * changed since) uses these as they are; one that changes rows in place says the same in its own language. Everywhere
 * `now` is the storage's clock in epoch milliseconds, and `rows` are all there are, unless the storage knows better.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Order from "effect/Order"
import * as newJob from "./internal/newJob.js"
import * as scheduleEdges from "./internal/scheduleTransitions.js"
import * as edges from "./internal/transitions.js"
import type { StorageError } from "./JobError.js"
import type {
  ClaimedJob,
  ClaimRequest,
  Count,
  Due,
  Fire,
  Fired,
  Hold,
  Inserted,
  JobRow,
  NewJob,
  Outcome,
  PageRequest,
  PutSchedule,
  ScheduleRow,
  SweepRequest
} from "./JobStorage.js"

/**
 * What to answer, and the row to write: undefined leaves it as it is, null removes it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Step<out Answer, out Row = JobRow> {
  readonly answer: Answer
  readonly next?: Row | null | undefined
}

const byId = Order.mapInput(Order.string, (row: { readonly id: string }) => row.id)

const pageOf = <Row extends { readonly id: string }>(
  rows: Iterable<Row>,
  { after, limit }: { readonly after?: string | undefined; readonly limit: number }
): ReadonlyArray<Row> =>
  Arr.sort(
    Arr.filter(rows, (row) => after === undefined || row.id > after),
    byId
  ).slice(0, limit)

/**
 * What an operation does to the row with an id, or to its absence.
 *
 * @since 0.1.0
 * @category models
 */
export type Transition<Answer, Row = JobRow> = (row: Row | undefined) => Step<Answer, Row>

/**
 * The id of the unfinished job of this name that has this unique key, if there is one.
 *
 * @since 0.1.0
 * @category models
 */
export type HolderOf = (name: string, uniqueKey: string) => string | undefined

// ---------------------------------------------------------------------------------------------------------------------
// jobs
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Why a batch must not be written at all: it has a number that some storage would have to truncate.
 *
 * @since 0.1.0
 * @category jobs
 */
export const refusal: (jobs: ReadonlyArray<NewJob>) => StorageError | undefined = newJob.refusal

/**
 * `insert`: a new row, unless its id is there already or its unique key is held.
 *
 * @since 0.1.0
 * @category jobs
 */
export const insert =
  (job: NewJob, holderOf: HolderOf, now: number): Transition<Inserted> =>
  (row) => {
    const { id, name, uniqueKey } = job
    if (row !== undefined)
      return { answer: { id, answer: row.name === name ? "inserted" : "conflict", created: false } }
    const holder = uniqueKey === null ? undefined : holderOf(name, uniqueKey)
    return holder === undefined
      ? { answer: { id, answer: "inserted", created: true }, next: edges.fresh(job, now) }
      : { answer: { id: holder, answer: "duplicate", created: false } }
  }

const claimOrder: Order.Order<JobRow> = Order.combineAll([
  Order.mapInput(Order.reverse(Order.number), (row: JobRow) => row.priority),
  Order.mapInput(Order.number, (row: JobRow) => row.runAt),
  Order.mapInput(Order.string, (row: JobRow) => row.id)
])

/**
 * The rows that a claim takes, best first: priority high first, then due time, then id.
 *
 * @since 0.1.0
 * @category jobs
 */
export const claimable = (
  rows: Iterable<JobRow>,
  request: ClaimRequest,
  paused: ReadonlySet<string>
): ReadonlyArray<JobRow> =>
  Arr.sort(
    Arr.filter(
      rows,
      (row) =>
        row.state === "pending" &&
        request.names.includes(row.name) &&
        edges.within(request.queues, row.queue) &&
        request.exceptQueues?.includes(row.queue) !== true &&
        !paused.has(row.queue)
    ),
    claimOrder
  ).slice(0, request.limit)

/**
 * `claim` of a pending row: running, attempt and token up by one, lease set.
 *
 * @since 0.1.0
 * @category jobs
 */
export const claim = (row: JobRow, request: ClaimRequest, now: number): Step<ClaimedJob> => {
  const next = edges.claimed(row, request, now)
  return { answer: edges.handedOut(next), next }
}

/**
 * `settle`: records how an attempt ended, if the hold is good or this very outcome was recorded before.
 *
 * @since 0.1.0
 * @category jobs
 */
export const settle =
  (outcome: Outcome, now: number): Transition<boolean> =>
  (row) => {
    if (row === undefined || row.token !== outcome.token) return { answer: false }
    if (row.state === "running") return { answer: true, next: edges.settled(row, outcome, now) }
    // the same outcome again, after a lost reply; a token of 0 was never given to anyone
    return { answer: row.token > 0 && edges.leadsTo(outcome.to, row.state) }
  }

/**
 * The scheduled rows that `promote` makes pending, at most `limit`, and in how many milliseconds the next one is due.
 *
 * @since 0.1.0
 * @category jobs
 */
export const promotable = (
  rows: Iterable<JobRow>,
  limit: number,
  now: number
): { readonly due: ReadonlyArray<JobRow>; readonly nextIn: number | undefined } => {
  const scheduled = Arr.sort(
    Arr.filter(rows, (row) => row.state === "scheduled"),
    Order.mapInput(Order.number, (row: JobRow) => row.runAt)
  )
  const due = Arr.takeWhile(scheduled, (row) => row.runAt <= now).slice(0, limit)
  const next = scheduled[due.length]
  return { due, nextIn: next && Math.max(0, next.runAt - now) }
}

/**
 * `promote` of a row that is due.
 *
 * @since 0.1.0
 * @category jobs
 */
export const promote = (row: JobRow): JobRow => ({ ...row, state: "pending" })

const isHeld = (row: JobRow | undefined, hold: Hold): row is JobRow =>
  row?.state === "running" && row.token === hold.token

/**
 * `renew`: extends the lease to `lease` milliseconds from now, if the hold is good.
 *
 * @since 0.1.0
 * @category jobs
 */
export const renew =
  (hold: Hold, lease: number, now: number): Transition<"held" | "lost" | "cancelRequested"> =>
  (row) =>
    isHeld(row, hold)
      ? { answer: row.cancelRequested ? "cancelRequested" : "held", next: { ...row, leaseUntil: now + lease } }
      : { answer: "lost" }

/**
 * `progress`: writes it, if the hold is good.
 *
 * @since 0.1.0
 * @category jobs
 */
export const progress =
  (hold: Hold, fraction: number, message: string | null): Transition<boolean> =>
  (row) =>
    isHeld(row, hold)
      ? { answer: true, next: { ...row, progress: fraction, progressMessage: message } }
      : { answer: false }

/**
 * The rows whose lease has ended, at most `limit`.
 *
 * @since 0.1.0
 * @category jobs
 */
export const expired = (rows: Iterable<JobRow>, limit: number, now: number): ReadonlyArray<JobRow> =>
  Arr.filter(rows, (row) => row.leaseUntil !== null && row.leaseUntil <= now).slice(0, limit)

/**
 * `sweep` of an expired row: token and crashes up by one; pending again, or failed at its last attempt or the crash
 * limit, or cancelled when that was requested.
 *
 * @since 0.1.0
 * @category jobs
 */
export const expire = (row: JobRow, request: SweepRequest, now: number): Step<"rescued" | "ended"> => {
  const next = edges.expired(row, request, now)
  return { answer: next.state === "pending" ? "rescued" : "ended", next }
}

/**
 * The rows that `sweep` and `prune` remove, at most `limit`: finished for `ages` milliseconds, by state. A state without
 * an age is kept.
 *
 * @since 0.1.0
 * @category jobs
 */
export const old = (
  rows: Iterable<JobRow>,
  ages: SweepRequest["retention"],
  limit: number,
  now: number
): ReadonlyArray<JobRow> =>
  Arr.filter(rows, (row) => {
    const age = edges.isFinished(row.state) ? ages[row.state] : undefined
    return age !== undefined && row.finishedAt !== null && row.finishedAt <= now - age
  }).slice(0, limit)

/**
 * `cancel`: ends a row that waits; marks one that runs, whose holder learns it when it renews.
 *
 * @since 0.1.0
 * @category jobs
 */
export const cancel =
  (now: number): Transition<"cancelled" | "requested" | "finished" | "notFound"> =>
  (row) => {
    if (row === undefined) return { answer: "notFound" }
    // also the repeat of a cancellation whose reply was lost
    if (row.state === "cancelled") return { answer: "cancelled" }
    if (edges.isFinished(row.state)) return { answer: "finished" }
    if (row.state !== "running") return { answer: "cancelled", next: edges.cancelled(row, now) }
    return { answer: "requested", next: row.cancelRequested ? undefined : { ...row, cancelRequested: true } }
  }

/**
 * `rerun`: a finished row as a new generation, unless its unique key is held.
 *
 * @since 0.1.0
 * @category jobs
 */
export const rerun =
  (holderOf: HolderOf, now: number): Transition<"rerun" | "unfinished" | "duplicate" | "notFound"> =>
  (row) => {
    if (row === undefined) return { answer: "notFound" }
    if (!edges.isFinished(row.state)) return { answer: "unfinished" }
    const holder = row.uniqueKey === null ? undefined : holderOf(row.name, row.uniqueKey)
    return holder === undefined ? { answer: "rerun", next: edges.rerun(row, now) } : { answer: "duplicate" }
  }

/**
 * `reschedule`: moves the due time of a row that waits.
 *
 * @since 0.1.0
 * @category jobs
 */
export const reschedule =
  (due: Due, now: number): Transition<"rescheduled" | "running" | "finished" | "notFound"> =>
  (row) => {
    if (row === undefined) return { answer: "notFound" }
    if (row.state === "running") return { answer: "running" }
    return edges.isFinished(row.state)
      ? { answer: "finished" }
      : { answer: "rescheduled", next: edges.rescheduled(row, due, now) }
  }

/**
 * `remove`: a row that is not running goes.
 *
 * @since 0.1.0
 * @category jobs
 */
export const remove: Transition<"removed" | "running" | "notFound"> = (row) => {
  if (row === undefined) return { answer: "notFound" }
  return row.state === "running" ? { answer: "running" } : { answer: "removed", next: null }
}

/**
 * Whether a row is completed, failed or cancelled.
 *
 * @since 0.1.0
 * @category jobs
 */
export const isFinished = (row: JobRow): boolean => edges.isFinished(row.state)

/**
 * `list`: one page, in the order of ids.
 *
 * @since 0.1.0
 * @category jobs
 */
export const page = (rows: Iterable<JobRow>, request: PageRequest): ReadonlyArray<JobRow> =>
  pageOf(
    Arr.filter(rows, (row) => edges.matches(request.filter, row)),
    request
  )

/**
 * `counts`: how many rows there are of each state in each queue.
 *
 * @since 0.1.0
 * @category jobs
 */
export const counts = (rows: Iterable<JobRow>): ReadonlyArray<Count> =>
  Object.values(Arr.groupBy(rows, ({ queue, state }) => `${state} ${queue}`)).map((group) => ({
    queue: group[0].queue,
    state: group[0].state,
    count: group.length
  }))

// ---------------------------------------------------------------------------------------------------------------------
// schedules
// ---------------------------------------------------------------------------------------------------------------------

/**
 * `putSchedules`: a new row, or an edited one whose cursor stays unless the recurrence changes or the put enables it;
 * answers the row as it is then.
 *
 * @since 0.1.0
 * @category schedules
 */
export const putSchedule =
  (schedule: PutSchedule): Transition<ScheduleRow, ScheduleRow> =>
  (row) => {
    const next = row === undefined ? scheduleEdges.fresh(schedule) : scheduleEdges.edited(row, schedule)
    return { answer: next, next: next === row ? undefined : next }
  }

/**
 * `enableSchedules`: on, with `next` as the cursor, or off; answers whether there is such a schedule.
 *
 * @since 0.1.0
 * @category schedules
 */
export const enableSchedule =
  (change: { readonly enabled: boolean; readonly next: number | null }): Transition<boolean, ScheduleRow> =>
  (row) => {
    if (row === undefined) return { answer: false }
    const next = scheduleEdges.switched(row, change.enabled, change.next)
    return { answer: true, next: next === row ? undefined : next }
  }

/**
 * `fire`: moves the cursor past the slots, if it is still where it was read. `get` is asked for the job fired last, and
 * `insert` writes those that are fired now: it is called only if the fire is good.
 *
 * @since 0.1.0
 * @category schedules
 */
export const fire =
  (
    given: Fire,
    jobs: { readonly get: (id: string) => JobRow | undefined; readonly insert: (job: NewJob) => Inserted },
    now: number
  ): Transition<Fired, ScheduleRow> =>
  (row) => {
    if (row === undefined || !scheduleEdges.isCurrent(row, given)) return { answer: { answer: "stale" } }
    const last = given.overlap === "skip" && row.lastJob !== null ? jobs.get(row.lastJob) : undefined
    const overlaps = last !== undefined && !isFinished(last)
    const answers = overlaps ? [] : given.jobs.map((job) => ({ job, ...jobs.insert(job) }))
    const inserted = answers.filter(({ answer }) => answer === "inserted")
    const fired = inserted.map(({ job }) => job)
    return {
      answer: { answer: "fired", jobs: inserted.filter(({ created }) => created).length },
      next: scheduleEdges.fired(row, given, fired, overlaps, now)
    }
  }

/**
 * `listSchedules`: one page, in the order of ids.
 *
 * @since 0.1.0
 * @category schedules
 */
export const schedulePage = (
  rows: Iterable<ScheduleRow>,
  request: { readonly after?: string | undefined; readonly limit: number }
): ReadonlyArray<ScheduleRow> => pageOf(rows, request)

/**
 * `dueSchedules`: the enabled rows whose cursor has come, earliest first, and when the next one's will.
 *
 * @since 0.1.0
 * @category schedules
 */
export const dueSchedules = (
  rows: Iterable<ScheduleRow>,
  limit: number,
  now: number
): { readonly now: number; readonly due: ReadonlyArray<ScheduleRow>; readonly nextIn: number | undefined } => {
  const cursor = (row: ScheduleRow): number => (row.enabled && row.next !== null ? row.next : Number.POSITIVE_INFINITY)
  const [later, due] = Arr.partition(
    Arr.sort(rows, Order.combine(Order.mapInput(Order.number, cursor), byId)),
    (row) => cursor(row) <= now
  )
  const next = later.map(cursor).find(Number.isFinite)
  return { now, due: due.slice(0, limit), nextIn: next === undefined ? undefined : next - now }
}
