/** The edges of the state graph as functions of a row, for storages that change whole rows; and which rows a filter means. */
import type {
  ClaimedJob,
  ClaimRequest,
  Due,
  Filter,
  JobRow,
  NewJob,
  Outcome,
  State,
  SweepRequest
} from "../JobStorage.js"

export type Finished = "completed" | "failed" | "cancelled"

export const finishedStates: ReadonlyArray<Finished> = ["completed", "failed", "cancelled"]

export const isFinished = (state: State): state is Finished =>
  state === "completed" || state === "failed" || state === "cancelled"

const idle = { owner: null, leaseUntil: null } as const

const finish = (row: JobRow, now: number, state: Finished, patch: Partial<JobRow> = {}): JobRow => ({
  ...row,
  ...idle,
  ...patch,
  state,
  finishedAt: now
})

const dueAt = (due: Due, now: number): Pick<JobRow, "runAt" | "state"> => {
  const runAt = "delay" in due ? now + Math.max(0, Math.ceil(due.delay)) : due.runAt
  return { runAt, state: runAt <= now ? "pending" : "scheduled" }
}

// field by field: a spread of so many takes ten times as long
export const fresh = (job: NewJob, now: number): JobRow => {
  const { runAt, state } = dueAt(job.due, now)
  return {
    id: job.id,
    name: job.name,
    queue: job.queue,
    state,
    priority: job.priority,
    payload: job.payload,
    runAt,
    attempt: 0,
    maxAttempts: job.maxAttempts,
    crashes: 0,
    generation: 1,
    token: 0,
    owner: null,
    leaseUntil: null,
    cancelRequested: false,
    uniqueKey: job.uniqueKey,
    tags: [...job.tags],
    result: null,
    failure: null,
    progress: null,
    progressMessage: null,
    traceparent: job.traceparent,
    scheduleId: job.scheduleId,
    slot: job.slot,
    enqueuedAt: now,
    startedAt: null,
    finishedAt: null
  }
}

export const claimed = (row: JobRow, request: ClaimRequest, now: number): JobRow => ({
  ...row,
  state: "running",
  attempt: row.attempt + 1,
  token: row.token + 1,
  owner: request.owner,
  leaseUntil: now + request.lease,
  startedAt: now,
  progress: null,
  progressMessage: null
})

export const handedOut = (row: JobRow): ClaimedJob => ({
  id: row.id,
  name: row.name,
  queue: row.queue,
  priority: row.priority,
  payload: row.payload,
  runAt: row.runAt,
  attempt: row.attempt,
  maxAttempts: row.maxAttempts,
  token: row.token,
  traceparent: row.traceparent,
  scheduleId: row.scheduleId,
  slot: row.slot,
  enqueuedAt: row.enqueuedAt
})

export const settled = (row: JobRow, outcome: Outcome, now: number): JobRow => {
  switch (outcome.to) {
    case "complete":
      return finish(row, now, "completed", { result: outcome.result, failure: null })
    case "fail":
      return finish(row, now, "failed", { failure: outcome.failure })
    case "cancel":
      return finish(row, now, "cancelled")
  }
  const back = outcome.to === "retry" ? { failure: outcome.failure } : { attempt: Math.max(0, row.attempt - 1) }
  if (row.cancelRequested) return finish(row, now, "cancelled", back)
  return outcome.to === "release"
    ? { ...row, ...idle, ...back, state: "pending" }
    : { ...row, ...idle, ...back, ...dueAt({ delay: outcome.delay }, now) }
}

/** Whether a row that no longer runs shows that this outcome was recorded before. */
export const leadsTo = (to: Outcome["to"], state: State): boolean => {
  switch (to) {
    case "complete":
      return state === "completed"
    case "fail":
      return state === "failed"
    case "cancel":
      return state === "cancelled"
    default:
      return state === "scheduled" || state === "pending" || state === "cancelled"
  }
}

export const expired = (row: JobRow, request: SweepRequest, now: number): JobRow => {
  const over = { token: row.token + 1, crashes: row.crashes + 1 }
  if (row.cancelRequested) return finish(row, now, "cancelled", over)
  return row.attempt >= row.maxAttempts || over.crashes >= request.crashLimit
    ? finish(row, now, "failed", { ...over, failure: request.crashFailure })
    : { ...row, ...idle, ...over, state: "pending" }
}

export const cancelled = (row: JobRow, now: number): JobRow => finish(row, now, "cancelled", { token: row.token + 1 })

export const rerun = (row: JobRow, now: number): JobRow => ({
  ...row,
  ...idle,
  state: "pending",
  runAt: now,
  generation: row.generation + 1,
  token: row.token + 1,
  attempt: 0,
  crashes: 0,
  cancelRequested: false,
  result: null,
  failure: null,
  progress: null,
  progressMessage: null,
  startedAt: null,
  finishedAt: null
})

export const rescheduled = (row: JobRow, due: Due, now: number): JobRow => ({ ...row, ...dueAt(due, now) })

export const within = <A>(values: ReadonlyArray<A> | undefined, value: A): boolean =>
  values === undefined || values.includes(value)

export const matches = (filter: Filter, row: JobRow): boolean =>
  within(filter.states, row.state) &&
  within(filter.queues, row.queue) &&
  within(filter.names, row.name) &&
  (filter.tag === undefined || row.tags.includes(filter.tag)) &&
  (filter.from === undefined || row.enqueuedAt >= filter.from) &&
  (filter.until === undefined || row.enqueuedAt < filter.until)
