/** Rows as drivers give them, and as the seam wants them. */
import type { JobRow, State } from "../../JobStorage.js"

/** bigint arrives as text from pg and as a number from SQLite. */
export type Big = string | number

export interface RawRow {
  readonly id: string
  readonly name: string
  readonly queue: string
  readonly state: State
  readonly priority: number
  readonly payload: string
  readonly run_at: Big
  readonly attempt: number
  readonly max_attempts: number
  readonly crashes: number
  readonly generation: number
  readonly token: Big
  readonly owner: string | null
  readonly lease_until: Big | null
  readonly cancel_requested: boolean | number
  readonly unique_key: string | null
  readonly tags: string
  readonly result: string | null
  readonly failure: string | null
  readonly progress: number | null
  readonly progress_message: string | null
  readonly traceparent: string | null
  readonly enqueued_at: Big
  readonly started_at: Big | null
  readonly finished_at: Big | null
}

const nullable = (value: Big | null): number | null => (value === null ? null : Number(value))

const noTags: ReadonlyArray<string> = []

export const decode = (row: RawRow): JobRow => ({
  id: row.id,
  name: row.name,
  queue: row.queue,
  state: row.state,
  priority: row.priority,
  payload: row.payload,
  runAt: Number(row.run_at),
  attempt: row.attempt,
  maxAttempts: row.max_attempts,
  crashes: row.crashes,
  generation: row.generation,
  token: Number(row.token),
  owner: row.owner,
  leaseUntil: nullable(row.lease_until),
  cancelRequested: Boolean(row.cancel_requested),
  uniqueKey: row.unique_key,
  tags: row.tags === "[]" ? noTags : JSON.parse(row.tags),
  result: row.result,
  failure: row.failure,
  progress: row.progress,
  progressMessage: row.progress_message,
  traceparent: row.traceparent,
  enqueuedAt: Number(row.enqueued_at),
  startedAt: nullable(row.started_at),
  finishedAt: nullable(row.finished_at)
})

const byId = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** RETURNING has no order. */
export const byClaimOrder = (a: JobRow, b: JobRow): number =>
  b.priority - a.priority || a.runAt - b.runAt || byId(a.id, b.id)

export const active = "('scheduled', 'pending', 'running')"
