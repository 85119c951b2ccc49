/** How a schedule's hash becomes a row, and the Lua its operations share. */
import type { ScheduleRow } from "../../JobStorage.js"
import * as Reply from "./reply.js"

export const definition = [
  "job",
  "queue",
  "priority",
  "payload",
  "maxAttempts",
  "uniqueKey",
  "recurrence",
  "missed",
  "overlap",
  "jitter"
] as const satisfies ReadonlyArray<keyof ScheduleRow>

const columns = [
  ...definition,
  "enabled",
  "disabledReason",
  "version",
  "next",
  "lastSlot",
  "lastJob",
  "lastFiredAt",
  "fired",
  "skipped",
  "lastSkipReason"
] as const satisfies ReadonlyArray<keyof ScheduleRow>

/** `schedules` has all ids, `cursors` the next slots of those that are enabled. */
export const schedules = `
local function scheduleKey(id) return base .. 'schedule:' .. id end

local function readSchedule(id)
  local row = redis.call('HMGET', scheduleKey(id), ${columns.map((column) => `'${column}'`).join(", ")})
  if not row[1] then return nil end
  table.insert(row, 1, id)
  return row
end

local function setCursor(id, enabled, nextSlot)
  if nextSlot == '' then
    redis.call('HDEL', scheduleKey(id), 'next')
  else
    redis.call('HSET', scheduleKey(id), 'next', nextSlot)
  end
  if enabled and nextSlot ~= '' then
    redis.call('ZADD', base .. 'cursors', nextSlot, id)
  else
    redis.call('ZREM', base .. 'cursors', id)
  end
end

local function tellSchedules() redis.call('PUBLISH', base .. 'wakeups', 'schedules') end
`

const overlap = Reply.word("allow", "skip")
const skipReason = Reply.word("missed", "overlap", "duplicate")

export const toSchedule = (reply: ReadonlyArray<unknown>): ScheduleRow => {
  const [
    id,
    job,
    queue,
    priority,
    payload,
    maxAttempts,
    uniqueKey,
    recurrence,
    missed,
    overlapText,
    jitter,
    enabled,
    disabledReason,
    version,
    next,
    lastSlot,
    lastJob,
    lastFiredAt,
    fired,
    skipped,
    lastSkipReason
  ] = reply
  return {
    id: Reply.text(id),
    job: Reply.text(job),
    queue: Reply.text(queue),
    priority: Reply.number(priority),
    payload: Reply.text(payload),
    maxAttempts: Reply.number(maxAttempts),
    uniqueKey: Reply.textOrNull(uniqueKey),
    recurrence: Reply.text(recurrence),
    missed: Reply.number(missed),
    overlap: overlap(overlapText),
    jitter: Reply.number(jitter),
    enabled: enabled === "1",
    disabledReason: Reply.textOrNull(disabledReason),
    version: Reply.number(version),
    next: Reply.numberOrNull(next),
    lastSlot: Reply.numberOrNull(lastSlot),
    lastJob: Reply.textOrNull(lastJob),
    lastFiredAt: Reply.numberOrNull(lastFiredAt),
    fired: Reply.number(fired),
    skipped: Reply.number(skipped),
    lastSkipReason: lastSkipReason === null ? null : skipReason(lastSkipReason)
  }
}
