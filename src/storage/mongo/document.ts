/** Jobs as MongoDB holds them. */
import type { ObjectId } from "mongodb"
import type { ClaimedJob, JobRow, NewJob, State } from "../../JobStorage.js"

export interface JobDocument {
  readonly _id: string
  readonly name: string
  readonly queue: string
  readonly state: State
  /** Unfinished: part of the unique index's condition. */
  readonly active: boolean
  readonly priority: number
  /** JSON text, so that it comes back exactly. */
  readonly payload: string
  readonly runAt: Date
  readonly attempt: number
  readonly maxAttempts: number
  readonly crashes: number
  readonly generation: number
  readonly token: number
  readonly owner: string | null
  readonly leaseUntil: Date | null
  readonly cancelRequested: boolean
  /** Absent when there is none: the unique index covers only those that have one. */
  readonly uniqueKey?: string
  readonly tags: ReadonlyArray<string>
  readonly result: string | null
  readonly failure: string | null
  readonly progress: number | null
  readonly progressMessage: string | null
  readonly traceparent: string | null
  readonly scheduleId: string | null
  readonly slot: Date | null
  readonly enqueuedAt: Date
  readonly startedAt: Date | null
  readonly finishedAt: Date | null
  /** The claim that took it last, and the call that changed it last otherwise: how a call finds what it did. */
  readonly claimId?: ObjectId
  readonly changeId?: ObjectId
}

/** What an insert writes as given; the rest depends on the clock. */
export const fresh = (job: NewJob): Omit<JobDocument, "_id" | "state" | "runAt" | "enqueuedAt"> => ({
  name: job.name,
  queue: job.queue,
  active: true,
  priority: job.priority,
  payload: job.payload,
  attempt: 0,
  maxAttempts: job.maxAttempts,
  crashes: 0,
  generation: 1,
  token: 0,
  owner: null,
  leaseUntil: null,
  cancelRequested: false,
  ...(job.uniqueKey === null ? {} : { uniqueKey: job.uniqueKey }),
  tags: job.tags,
  result: null,
  failure: null,
  progress: null,
  progressMessage: null,
  traceparent: job.traceparent,
  scheduleId: job.scheduleId,
  slot: dateOf(job.slot),
  startedAt: null,
  finishedAt: null
})

export const dateOf = (millis: number | null): Date | null => (millis === null ? null : new Date(millis))

export const millisOf = (date: Date | null): number | null => (date === null ? null : date.getTime())

export const rowOf = (found: JobDocument): JobRow => ({
  id: found._id,
  name: found.name,
  queue: found.queue,
  state: found.state,
  priority: found.priority,
  payload: found.payload,
  runAt: found.runAt.getTime(),
  attempt: found.attempt,
  maxAttempts: found.maxAttempts,
  crashes: found.crashes,
  generation: found.generation,
  token: found.token,
  owner: found.owner,
  leaseUntil: millisOf(found.leaseUntil),
  cancelRequested: found.cancelRequested,
  uniqueKey: found.uniqueKey ?? null,
  tags: found.tags,
  result: found.result,
  failure: found.failure,
  progress: found.progress,
  progressMessage: found.progressMessage,
  traceparent: found.traceparent,
  scheduleId: found.scheduleId,
  slot: millisOf(found.slot),
  enqueuedAt: found.enqueuedAt.getTime(),
  startedAt: millisOf(found.startedAt),
  finishedAt: millisOf(found.finishedAt)
})

/** The fields of a claimed job, and nothing that a claim does not need on the wire. */
export const claimedFields = {
  name: 1,
  queue: 1,
  priority: 1,
  payload: 1,
  runAt: 1,
  attempt: 1,
  maxAttempts: 1,
  token: 1,
  traceparent: 1,
  scheduleId: 1,
  slot: 1,
  enqueuedAt: 1
} as const

export type ClaimedDocument = Pick<JobDocument, "_id" | keyof typeof claimedFields>

export const claimedOf = (found: ClaimedDocument): ClaimedJob => ({
  id: found._id,
  name: found.name,
  queue: found.queue,
  priority: found.priority,
  payload: found.payload,
  runAt: found.runAt.getTime(),
  attempt: found.attempt,
  maxAttempts: found.maxAttempts,
  token: found.token,
  traceparent: found.traceparent,
  scheduleId: found.scheduleId,
  slot: millisOf(found.slot),
  enqueuedAt: found.enqueuedAt.getTime()
})
