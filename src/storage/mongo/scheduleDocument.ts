/** Schedules as MongoDB holds them. */
import * as Struct from "effect/Struct"
import { definition } from "../../internal/scheduleTransitions.js"
import type { ObjectId } from "mongodb"
import type { NewJob, PutSchedule, ScheduleDefinition, ScheduleRow, SkipReason } from "../../JobStorage.js"
import { dateOf, millisOf } from "./document.js"

/** A fire whose cursor has advanced and whose jobs may not all be there yet. */
export interface OutboxEntry {
  readonly fire: ObjectId
  readonly jobs: ReadonlyArray<Omit<NewJob, "payload"> & { readonly payload: number }>
  /** The payloads of the jobs, each once. */
  readonly payloads: ReadonlyArray<string>
  readonly missed: number
  readonly overlapped: number
}

export interface ScheduleDocument extends Omit<ScheduleDefinition, "id"> {
  readonly _id: string
  readonly enabled: boolean
  readonly disabledReason: string | null
  readonly version: number
  readonly next: Date | null
  readonly lastSlot: Date | null
  readonly lastJob: string | null
  readonly lastFiredAt: Date | null
  readonly fired: number
  readonly skipped: number
  readonly lastSkipReason: SkipReason | null
  readonly outbox: ReadonlyArray<OutboxEntry>
  /** The fire that advanced the cursor last. */
  readonly fireId?: ObjectId
}

/** The document's `_id` is the schedule's id. */
export const definitionOf = (schedule: PutSchedule): Omit<ScheduleDefinition, "id"> =>
  Struct.omit(definition(schedule), "id")

export const fresh = (schedule: PutSchedule): Omit<ScheduleDocument, "_id"> => ({
  ...definitionOf(schedule),
  enabled: schedule.enabled ?? true,
  disabledReason: null,
  version: 1,
  next: dateOf(schedule.next),
  lastSlot: null,
  lastJob: null,
  lastFiredAt: null,
  fired: 0,
  skipped: 0,
  lastSkipReason: null,
  outbox: []
})

export const rowOf = (found: ScheduleDocument): ScheduleRow => ({
  id: found._id,
  job: found.job,
  queue: found.queue,
  priority: found.priority,
  payload: found.payload,
  maxAttempts: found.maxAttempts,
  uniqueKey: found.uniqueKey,
  recurrence: found.recurrence,
  missed: found.missed,
  overlap: found.overlap,
  jitter: found.jitter,
  enabled: found.enabled,
  disabledReason: found.disabledReason,
  version: found.version,
  next: millisOf(found.next),
  lastSlot: millisOf(found.lastSlot),
  lastJob: found.lastJob,
  lastFiredAt: millisOf(found.lastFiredAt),
  fired: found.fired,
  skipped: found.skipped,
  lastSkipReason: found.lastSkipReason
})
