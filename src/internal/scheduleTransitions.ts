/** What becomes of a schedule's row, as functions of it, for storages that change whole rows. */
import type { Fire, NewJob, PutSchedule, ScheduleDefinition, ScheduleRow } from "../JobStorage.js"

export const definition = (schedule: ScheduleDefinition): ScheduleDefinition => ({
  id: schedule.id,
  job: schedule.job,
  queue: schedule.queue,
  priority: schedule.priority,
  payload: schedule.payload,
  maxAttempts: schedule.maxAttempts,
  uniqueKey: schedule.uniqueKey,
  recurrence: schedule.recurrence,
  missed: schedule.missed,
  overlap: schedule.overlap,
  jitter: schedule.jitter
})

const same = (a: ScheduleDefinition, b: ScheduleDefinition): boolean =>
  JSON.stringify(definition(a)) === JSON.stringify(definition(b))

export const fresh = (schedule: PutSchedule): ScheduleRow => ({
  ...definition(schedule),
  enabled: schedule.enabled ?? true,
  disabledReason: null,
  version: 1,
  next: schedule.next,
  lastSlot: null,
  lastJob: null,
  lastFiredAt: null,
  fired: 0,
  skipped: 0,
  lastSkipReason: null
})

/** The very row when the put changes nothing. */
export const edited = (row: ScheduleRow, schedule: PutSchedule): ScheduleRow => {
  const enabled = schedule.enabled ?? row.enabled
  if (enabled === row.enabled && same(row, schedule)) return row
  const restarts = (enabled && !row.enabled) || schedule.recurrence !== row.recurrence
  return {
    ...row,
    ...definition(schedule),
    enabled,
    disabledReason: enabled === row.enabled ? row.disabledReason : null,
    version: row.version + 1,
    next: restarts ? schedule.next : row.next
  }
}

/** The very row when it is so already. */
export const switched = (row: ScheduleRow, enabled: boolean, next: number | null): ScheduleRow =>
  row.enabled === enabled
    ? row
    : { ...row, enabled, disabledReason: null, version: row.version + 1, next: enabled ? next : row.next }

/** Whether a fire still applies to the row. */
export const isCurrent = (row: ScheduleRow, fire: Fire): boolean =>
  row.enabled && row.version === fire.version && row.next === fire.slot

/** After a fire: `inserted` are those of its jobs that are there now, in its order; `overlaps` says why none is. */
export const fired = (
  row: ScheduleRow,
  fire: Fire,
  inserted: ReadonlyArray<NewJob>,
  overlaps: boolean,
  now: number
): ScheduleRow => {
  const last = inserted[inserted.length - 1]
  const unfired = fire.jobs.length - inserted.length
  const skipped = fire.skipped + unfired
  const reason = unfired === 0 ? "missed" : overlaps ? "overlap" : "duplicate"
  return {
    ...row,
    enabled: fire.disable === null,
    disabledReason: fire.disable,
    version: fire.disable === null ? row.version : row.version + 1,
    next: fire.next,
    ...(last === undefined ? {} : { lastSlot: last.slot, lastJob: last.id, lastFiredAt: now }),
    fired: row.fired + inserted.length,
    skipped: row.skipped + skipped,
    lastSkipReason: skipped === 0 ? row.lastSkipReason : reason
  }
}
