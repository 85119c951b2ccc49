/** What is to be done about a schedule that is due: a function of its row and the time. */
import type { Fire, NewJob, ScheduleRow } from "../../JobStorage.js"
import type { Recurrence } from "../../Recurrence.js"
import * as ids from "../id.js"
import * as Slots from "../recurrence.js"

/** A slot found later than this after its instant, in milliseconds, is missed; those within all run. */
export const missedAfter = 60_000

/** Jobs in one fire; what remains is the next fire's. */
export const maxJobs = 500

const jobOf = (row: ScheduleRow, slot: number): NewJob => {
  const { id, spread } = ids.ofSlot(row.id, slot)
  return {
    id,
    name: row.job,
    queue: row.queue,
    priority: row.priority,
    payload: row.payload,
    due: { runAt: slot + (row.jitter > 0 ? spread % row.jitter : 0) },
    maxAttempts: row.maxAttempts,
    uniqueKey: row.uniqueKey,
    tags: [],
    traceparent: null,
    scheduleId: row.id,
    slot
  }
}

/** Takes a schedule out of service that could otherwise only fail again. */
export const quarantine = (row: ScheduleRow, slot: number, reason: string): Fire => ({
  schedule: row.id,
  version: row.version,
  slot,
  next: null,
  jobs: [],
  skipped: 0,
  overlap: row.overlap,
  disable: reason
})

/** `cursor` is the row's, and due. */
export const fire = (row: ScheduleRow, cursor: number, recurrence: Recurrence, now: number): Fire => {
  const before = cursor - 1
  const missedUntil = now - missedAfter - 1
  const runs = [...Slots.latest(recurrence, row.missed, before, missedUntil)]
  let due = Slots.countBetween(recurrence, before, missedUntil)
  let next = Slots.nextAfter(recurrence, Math.max(before, missedUntil))
  for (; typeof next === "number" && next <= now; next = Slots.nextAfter(recurrence, next)) {
    runs.push(next)
    due++
  }
  if (next instanceof Slots.Breach) return quarantine(row, cursor, "its recurrence names a slot twice")
  const wanted = row.overlap === "skip" ? runs.slice(-1) : runs
  return {
    schedule: row.id,
    version: row.version,
    slot: cursor,
    next: wanted[maxJobs] ?? next ?? null,
    jobs: wanted.slice(0, maxJobs).map((slot) => jobOf(row, slot)),
    skipped: due - wanted.length,
    overlap: row.overlap,
    disable: null
  }
}
