/** The slots of a recurrence in milliseconds, as the scheduler counts them. */
import * as Data from "effect/Data"

/** A source of slots. Ranges exclude `after` and include `until`; answers ascend. */
export interface Slots {
  readonly next: (after: number) => number | undefined
  readonly count: (after: number, until: number) => number
  readonly all: (after: number, until: number) => ReadonlyArray<number>
}

/** What a recurrence is to the functions here. */
interface HasSlots {
  readonly slots: Slots
}

/** A source named a slot that is not later than asked: following it would fire without end. */
export class Breach extends Data.TaggedClass("Breach")<{ readonly after: number; readonly answer: number }> {}

/** The first slot strictly later than `after`, nothing when there is none, or the breach of that rule. */
export const nextAfter = (self: HasSlots, after: number): number | undefined | Breach => {
  const answer = self.slots.next(after)
  return answer === undefined || answer > after ? answer : new Breach({ after, answer })
}

/** How many slots are in (after, until]. */
export const countBetween = (self: HasSlots, after: number, until: number): number =>
  after < until ? self.slots.count(after, until) : 0

/** The latest `n` slots in (after, until], ascending. The window before `until` doubles until it holds them. */
export const latest = (self: HasSlots, n: number, after: number, until: number): ReadonlyArray<number> => {
  if (n <= 0 || after >= until) return []
  let width = 1_000 * n
  while (until - width > after && self.slots.count(until - width, until) < n) width *= 2
  return self.slots.all(Math.max(after, until - width), until).slice(-n)
}
