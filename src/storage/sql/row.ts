/** Rows as drivers give them, and as the seam wants them. */
import type { JobRow, ScheduleRow, SkipReason, State } from "../../JobStorage.js"

/** bigint arrives as text from pg and as a number from SQLite and MySQL. */
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
  readonly schedule_id: string | null
  readonly slot: Big | null
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
  scheduleId: row.schedule_id,
  slot: nullable(row.slot),
  enqueuedAt: Number(row.enqueued_at),
  startedAt: nullable(row.started_at),
  finishedAt: nullable(row.finished_at)
})

/** The columns that an insert gives; the others have defaults. */
export const inserted =
  "id, name, queue, state, priority, payload, run_at, max_attempts, unique_key, tags, traceparent, schedule_id, slot, enqueued_at"

/** The columns of a `ClaimedJob` under its own names, so that what the driver makes of a row is one. */
export const claimedColumns = `id, name, queue, priority, payload, run_at AS "runAt", attempt, max_attempts AS "maxAttempts",
  token, traceparent, schedule_id AS "scheduleId", slot, enqueued_at AS "enqueuedAt"`

export interface RawSchedule {
  readonly id: string
  readonly job: string
  readonly queue: string
  readonly priority: number
  readonly payload: string
  readonly max_attempts: number
  readonly unique_key: string | null
  readonly recurrence: string
  readonly missed: number
  readonly overlap: "allow" | "skip"
  readonly jitter: Big
  readonly enabled: boolean | number
  readonly disabled_reason: string | null
  readonly version: Big
  readonly next_slot: Big | null
  readonly last_slot: Big | null
  readonly last_job: string | null
  readonly last_fired_at: Big | null
  readonly fired: Big
  readonly skipped: Big
  readonly last_skip_reason: SkipReason | null
}

export const decodeSchedule = (row: RawSchedule): ScheduleRow => ({
  id: row.id,
  job: row.job,
  queue: row.queue,
  priority: row.priority,
  payload: row.payload,
  maxAttempts: row.max_attempts,
  uniqueKey: row.unique_key,
  recurrence: row.recurrence,
  missed: row.missed,
  overlap: row.overlap,
  jitter: Number(row.jitter),
  enabled: Boolean(row.enabled),
  disabledReason: row.disabled_reason,
  version: Number(row.version),
  next: nullable(row.next_slot),
  lastSlot: nullable(row.last_slot),
  lastJob: row.last_job,
  lastFiredAt: nullable(row.last_fired_at),
  fired: Number(row.fired),
  skipped: Number(row.skipped),
  lastSkipReason: row.last_skip_reason
})

export const active = "('scheduled', 'pending', 'running')"
