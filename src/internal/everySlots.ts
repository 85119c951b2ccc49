/** The slots of a fixed rate: the anchor, and every whole multiple of the period before and after it. */
import type { Slots } from "./recurrence.js"

const lastInstant = 8_640_000_000_000_000

export const make = (period: number, anchor: number): Slots => {
  const index = (at: number) => Math.floor((at - anchor) / period)
  const slot = (n: number) => anchor + n * period
  return {
    next: (after) => {
      const at = slot(index(after) + 1)
      return at <= lastInstant ? at : undefined
    },
    count: (after, until) => index(until) - index(after),
    all: (after, until) => {
      const low = index(after) + 1
      return Array.from({ length: index(until) - low + 1 }, (_, n) => slot(low + n))
    }
  }
}
