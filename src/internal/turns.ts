/**
 * Turns of idle workers. Of all that hear of one job, one should ask for it: whoever got the last goes first, and the
 * others look whether anything is left, each after a wait of its own. To look writes nothing and locks nothing. Who is
 * alone never waits, and who goes first but is too busy to is not waited for either. Whoever asks and gets nothing, as
 * when a job is due later only, goes first no more: then all look.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { Service } from "../JobStorage.js"
import { liveClock } from "./liveClock.js"
import * as Patience from "./patience.js"
import * as Signal from "./signal.js"

/** What a look finds. */
export interface Left {
  readonly pending: boolean
  /** When the first of the scheduled jobs is due, by the store's clock. */
  readonly due: number | null
  readonly now: number
}

export interface Listener {
  readonly heard: () => void
  /** Never ends. */
  readonly run: Effect.Effect<never>
}

export interface Turns {
  /** The storage's claim, whose answers decide who goes first. */
  readonly claim: Service["claim"]
  /** The storage's promote, which tells its workers when to come again. */
  readonly promote: Service["promote"]
  readonly listener: (rivals: Rivals, tell: () => void) => Listener
}

export interface Rivals {
  /** One was heard, by a name of its own. */
  readonly seen: (name: string) => void
  readonly count: () => number
}

/** The other listeners of a channel, each of which says on it that it is there, once in so many milliseconds. */
export const rivals = (interval: number): Rivals => {
  const seen = new Map<string, number>()
  return {
    seen: (name) => {
      seen.set(name, liveClock.unsafeCurrentTimeMillis())
    },
    count: () => {
      const since = liveClock.unsafeCurrentTimeMillis() - 2.5 * interval
      for (const [name, at] of seen) if (at < since) seen.delete(name)
      return seen.size
    }
  }
}

/** Milliseconds: with so many for each rival, the first of those that look does so after about as many. */
const perRival = 10
const longest = 200

/** How long a look may take, in milliseconds; then the worker asks, as if something were left. */
const patience = 3_000
/** What a job may be due sooner than the workers know of, in milliseconds: their knowledge has been under way too. */
const slack = 50

export const make = (storage: {
  readonly claim: Service["claim"]
  readonly promote: Service["promote"]
  readonly look: Effect.Effect<Left, unknown>
}): Turns => {
  let first = false
  /** The next claim shows whether it was right to ask. */
  let asking = false
  /** When the first of the scheduled jobs is due, as far as the workers of this storage know. */
  let known = Number.POSITIVE_INFINITY
  const now = () => liveClock.unsafeCurrentTimeMillis()
  const look = Patience.within(storage.look, patience, Effect.fail("late"))

  return {
    claim: (request) =>
      Effect.map(storage.claim(request), (rows) => {
        if (rows.length > 0) first = true
        else if (asking) first = false
        asking = false
        return rows
      }),
    promote: (limit) =>
      Effect.map(storage.promote(limit), (answer) => {
        known = answer.nextIn === undefined ? Number.POSITIVE_INFINITY : now() + answer.nextIn
        return answer
      }),
    listener: (others, tell) => {
      const signal = Signal.make()
      let due: number | null = null
      const ask = () => {
        asking = true
        tell()
      }
      const wait = Effect.flatMap(Random.next, (unit) =>
        Effect.withClock(Effect.sleep(unit * Math.min(longest, perRival * others.count())), liveClock)
      )
      const turn = Effect.matchEffect(look, {
        // the worker's own claim will say what is wrong
        onFailure: () => Effect.sync(ask),
        onSuccess: (left) =>
          Effect.sync(() => {
            const dueIn = left.due === null ? Number.POSITIVE_INFINITY : left.due - left.now
            // this listener's worker does not know of it, or may have forgotten it again
            const news = left.due !== null && (left.due !== due || now() + dueIn < known - slack)
            due = left.due
            if (left.pending || news) ask()
          })
      })
      return {
        heard: () => (first || others.count() === 0 ? ask() : signal.raise()),
        run: Effect.forever(Effect.zipRight(signal.wait, Effect.zipRight(wait, turn)))
      }
    }
  }
}
