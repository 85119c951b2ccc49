/** The jobs a worker holds: buffered ahead, running, or ended and not yet settled. One entry per lease. */
import type * as Fiber from "effect/Fiber"
import type { HandlerService } from "../../Job.js"
import type { ClaimedJob } from "../../JobStorage.js"

export type Reason = "cancelled" | "lost" | "shutdown"

export interface Held {
  readonly row: ClaimedJob
  readonly handler: HandlerService
  readonly lane: Lane
  phase: "buffered" | "running" | "settling"
  fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined
  /** Why the fiber was interrupted, when we did it. */
  reason: Reason | undefined
  /** When the lease ends by this process's own clock, counted from before the call that granted it. */
  leaseEnd: number
  startedAt: number | undefined
}

/** A limit of its own: one lane for each limited queue, and one for all the others. */
export interface Lane {
  readonly queues: ReadonlyArray<string> | undefined
  readonly exceptQueues: ReadonlyArray<string> | undefined
  readonly limit: number
  readonly buffer: Array<Held>
  running: number
  /** Claim-ahead: grows while a batch is used up fast, shrinks while it is not. */
  ahead: number
  /** The last claim brought all that was asked for. */
  more: boolean
  claimedAt: number
}

export const lanes = (concurrency: number, queues: ReadonlyMap<string, number>): ReadonlyArray<Lane> => {
  const lane = (limit: number, only?: string): Lane => ({
    queues: only === undefined ? undefined : [only],
    exceptQueues: only === undefined && queues.size > 0 ? [...queues.keys()] : undefined,
    limit: Math.min(limit, concurrency),
    buffer: [],
    running: 0,
    ahead: 0,
    more: true,
    claimedAt: 0
  })
  return [lane(concurrency), ...Array.from(queues, ([queue, limit]) => lane(limit, queue))]
}

/** Priority high first, then due time, then id: the order in which rows are claimed. */
export const before = (a: ClaimedJob, b: ClaimedJob): boolean =>
  a.priority !== b.priority ? a.priority > b.priority : a.runAt !== b.runAt ? a.runAt < b.runAt : a.id < b.id
