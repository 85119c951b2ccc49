/** The slots of a fixed rate: the anchor, and every whole multiple of the period before and after it. */
import type { Slots } from "./recurrence.js"

const lastInstant = 8_640_000_000_000_000

/** A remainder of a double is exact; a difference of two far instants is not, so none is taken here. */
const modulo = (n: number, period: number) => {
  const remainder = n % period
  return remainder < 0 ? remainder + period : remainder
}

export const make = (period: number, anchor: number): Slots => {
  const phase = modulo(anchor, period)
  /** How long before `at` the latest slot was, below `period`. */
  const since = (at: number) => modulo(modulo(at, period) - phase, period)
  const count = (after: number, until: number) => Math.round((until - after - since(until) + since(after)) / period)
  const next = (after: number) => after + (period - since(after))
  return {
    next: (after) => {
      const at = next(after)
      return at <= lastInstant ? at : undefined
    },
    count,
    all: (after, until) => {
      const first = next(after)
      return Array.from({ length: count(after, until) }, (_, n) => first + n * period)
    }
  }
}
