/** Interrupts attempts that outlast their job's timeout: one timer for all running jobs, not one for each. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Held, Holds } from "./holds.js"
import { longestSleep } from "./longestSleep.js"
import * as Signal from "./signal.js"

export interface Deadlines {
  readonly watch: (entry: Held) => void
  /** One look at what is due, then a sleep to the next deadline. */
  readonly turn: Effect.Effect<void>
}

/** The job's own, or less: what keeps leases from being renewed must end before the first of them is due. */
export const timeoutOf = ({ blocksRenewal, job }: Held["handler"], lease: number): number =>
  Math.min(job.timeout ?? Number.POSITIVE_INFINITY, blocksRenewal ? Math.floor(lease / 3) : Number.POSITIVE_INFINITY)

export const make = (holds: Holds, lease: number): Effect.Effect<Deadlines> =>
  Effect.map(Signal.make, (sooner) => {
    const deadlineOf = (entry: Held): number =>
      entry.phase === "running" && entry.reason === undefined
        ? entry.startedAt + timeoutOf(entry.handler, lease)
        : Number.POSITIVE_INFINITY

    // never later than the earliest deadline; too early only costs a look
    let next = Number.POSITIVE_INFINITY

    const turn = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      if (next <= now) {
        next = Number.POSITIVE_INFINITY
        for (const entry of holds.byId.values()) {
          const deadline = deadlineOf(entry)
          if (deadline <= now) holds.interrupt(entry, "timeout")
          else next = Math.min(next, deadline)
        }
      }
      const wait = next - now
      yield* wait === Number.POSITIVE_INFINITY
        ? sooner.wait
        : Effect.raceFirst(sooner.wait, Effect.sleep(Math.min(wait, longestSleep)))
    })

    return {
      watch: (entry) => {
        const deadline = deadlineOf(entry)
        if (deadline >= next) return
        next = deadline
        sooner.raise()
      },
      turn
    }
  })
