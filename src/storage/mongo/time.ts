/** Time as update pipelines and projections see it. */
import type { Document } from "mongodb"
import type { Due } from "../../JobStorage.js"

/** The server's clock, or an instant of Effect's. */
export type Now = "$$NOW" | Date

/** Some 250,000 years: what is added to the present must stay a date. */
const maxDelay = 8_000_000_000_000_000

/** What JavaScript has as dates; beyond it the driver would write 1970. */
const lastDate = 8_640_000_000_000_000

/** Backoff with jitter has fractions, dates have not. */
export const whole = (millis: number): number => Math.min(maxDelay, Math.max(0, Math.ceil(millis)))

export const after = (now: Now, millis: number): Document => ({ $add: [now, whole(millis)] })

/** Due time and state of a job that waits. */
export const dueAt = (now: Now, due: Due): { readonly runAt: Document | Date; readonly state: Document | string } => {
  if ("delay" in due) {
    const delay = whole(due.delay)
    return { runAt: after(now, delay), state: delay === 0 ? "pending" : "scheduled" }
  }
  const runAt = new Date(Math.max(-lastDate, Math.min(lastDate, Math.ceil(due.runAt))))
  return { runAt, state: { $cond: [{ $lte: [runAt, now] }, "pending", "scheduled"] } }
}

/** The condition, for filters, that a date has passed. */
export const passed = (field: string, now: Now): Document => ({ $expr: { $lte: [`$${field}`, now] } })
