/**
 * How long commands may wait for their answers. One timer does for all, as all have the same time: the driver would start
 * and stop two for each, which takes as long as to write it.
 */

export interface Deadline {
  /** How many commands wait. */
  readonly waiting: () => number
  /** From now on one more waits, until it is late, or what this returns is called: that says whether it still waited. */
  readonly begin: (late: () => void) => () => boolean
}

interface Waiting {
  /** By a clock that nobody sets. */
  readonly until: number
  /** How many had been answered when it began. */
  readonly answered: number
  readonly late: () => void
}

/** `silent` is called when nothing at all was answered for as long as a command may wait. */
export const make = (millis: number, silent: () => void): Deadline => {
  // in the order of their deadlines
  const waiting = new Set<Waiting>()
  let answered = 0
  let running = false

  const start = (after: number) => {
    running = true
    setTimeout(check, after).unref()
  }

  const check = () => {
    running = false
    const now = performance.now()
    let silence = false
    for (const one of waiting) {
      if (one.until > now) {
        start(Math.ceil(one.until - now))
        break
      }
      waiting.delete(one)
      silence ||= one.answered === answered
      one.late()
    }
    if (silence) silent()
  }

  return {
    waiting: () => waiting.size,
    begin: (late) => {
      const one: Waiting = { until: performance.now() + millis, answered, late }
      waiting.add(one)
      if (!running) start(millis)
      return () => {
        const waited = waiting.delete(one)
        if (waited) answered++
        return waited
      }
    }
  }
}
