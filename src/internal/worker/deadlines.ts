/** Ends attempts that outlast their job's timeout or their lease: one timer for all held jobs, not one for each. */
import * as Effect from "effect/Effect"
import * as metrics from "../metrics.js"
import type { Held, Holds } from "./holds.js"
import { longestSleep } from "./longestSleep.js"
import * as Monotonic from "../monotonic.js"
import * as Signal from "../signal.js"

export interface Deadlines {
  readonly watch: (entry: Held) => void
  /** One look at what is due, then a sleep to the next deadline. */
  readonly turn: Effect.Effect<void>
}

const never = Number.POSITIVE_INFINITY

/** The job's own, or less: what keeps leases from being renewed must end before the first of them is due. */
export const timeoutOf = ({ blocksRenewal, job }: Held["handler"], lease: number): number =>
  Math.min(job.timeout ?? never, blocksRenewal ? Math.floor(lease / 3) : never)

const leaseOf = (entry: Held): number =>
  entry.phase !== "settling" && entry.reason === undefined ? entry.leaseEnd : never

/** The lease is gone: the job may run elsewhere, so it is told and ended here. */
export const lose = (holds: Holds, entry: Held): Effect.Effect<void> =>
  Effect.logWarning("dbjobq: lease lost, the job is interrupted").pipe(
    Effect.annotateLogs({ job: entry.row.name, jobId: entry.row.id, attempt: entry.row.attempt }),
    Effect.zipRight(metrics.leaseLost),
    Effect.zipRight(Effect.sync(() => holds.interrupt(entry, "lost"))),
    // a handler may take long to let go of what it was told already
    Effect.when(() => entry.reason === undefined),
    Effect.asVoid
  )

export const make = (holds: Holds, lease: number): Deadlines => {
  const sooner = Signal.make()
  const endOf = (entry: Held): number =>
    entry.phase === "running" && entry.reason === undefined ? entry.timedFrom + timeoutOf(entry.handler, lease) : never

  // never later than the earliest deadline; too early only costs a look
  let next = never

  // a storage that does not answer must not keep a job running past its lease; one that has not begun is handed back,
  // which may spare it the crash that a sweep would count
  const expire = (entry: Held): Effect.Effect<void> =>
    entry.phase === "buffered" ? Effect.sync(() => holds.interrupt(entry, "shutdown")) : lose(holds, entry)

  const turn = Effect.gen(function* () {
    const now = yield* Monotonic.now
    if (next <= now) {
      next = never
      for (const entry of [...holds.byId.values()]) {
        if (leaseOf(entry) <= now) yield* expire(entry)
        else if (endOf(entry) <= now) holds.interrupt(entry, "timeout")
        else next = Math.min(next, leaseOf(entry), endOf(entry))
      }
    }
    const wait = next - now
    yield* wait === never ? sooner.wait : sooner.waitFor(Math.min(Math.ceil(wait), longestSleep))
  })

  return {
    watch: (entry) => {
      const deadline = Math.min(leaseOf(entry), endOf(entry))
      if (deadline >= next) return
      next = deadline
      sooner.raise()
    },
    turn
  }
}
