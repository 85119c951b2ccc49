/** The jobs a worker holds, one entry per lease: buffered → running → settling, then released. */
import * as FiberId from "effect/FiberId"
import type * as Fiber from "effect/Fiber"
import type { HandlerService } from "../../Job.js"
import type { ClaimedJob, Outcome } from "../../JobStorage.js"
import type { Reason } from "../attempt.js"
import { ById } from "./byId.js"
import type { Settings } from "./options.js"
import * as Signal from "../signal.js"

// a class: where all literals of a place are found alive for once, V8 makes the later ones old, for full collections only
export class Held {
  readonly row: ClaimedJob
  readonly handler: HandlerService
  readonly lane: Lane
  phase: "buffered" | "running" | "settling" = "buffered"
  fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined
  /** Why the worker ended the attempt, when it did. */
  reason: Reason | undefined = undefined
  /** When the lease ends by this process's own clock (see monotonic.ts), counted from before the call that granted it. */
  leaseEnd: number
  /** By the same clock. */
  startedAt = 0
  /** What its timeout is counted from: later than its start where it has to wait for its turn. */
  timedFrom = Number.POSITIVE_INFINITY
  /** The storage will not take its outcome: no longer renewed, and let go when the lease ends. */
  refused = false
  /** Until it is let go, or its job is claimed anew. */
  held = true

  constructor(lane: Lane, row: ClaimedJob, handler: HandlerService, leaseEnd: number) {
    this.lane = lane
    this.row = row
    this.handler = handler
    this.leaseEnd = leaseEnd
  }
}

/** A limit of its own: one lane for each limited queue, and one for all the others. */
export interface Lane {
  readonly queues: ReadonlyArray<string> | undefined
  readonly exceptQueues: ReadonlyArray<string> | undefined
  readonly limit: number
  readonly buffer: Array<Held>
  running: number
  /** How many jobs to hold beyond the free slots: more while batches are used up fast, fewer while they are not. */
  ahead: number
  /** The last claim brought all that was asked for. */
  more: boolean
  /** When the last claim was answered. */
  arrivedAt: number
  /** How many jobs claims have brought since this was last looked at, and how many have ended. */
  claimed: number
  used: number
  countedFrom: number
}

/** What is to be recorded of an entry. A class, for the reason that `Held` is one. */
export class Ending {
  readonly entry: Held
  readonly outcome: Outcome

  constructor(entry: Held, outcome: Outcome) {
    this.entry = entry
    this.outcome = outcome
  }
}

/** What the loops of one worker share. */
export interface Holds {
  readonly lanes: ReadonlyArray<Lane>
  readonly byId: Omit<ById<Held>, "set" | "delete">
  /** Jobs running now. */
  readonly running: () => number
  /** How many jobs to claim for the lane now: for its free slots, and ahead of them; none where that is not worth a claim. */
  readonly wanted: (lane: Lane) => number
  /** Tells the fetcher where there may be more of what is wanted. */
  readonly ask: () => void
  /** Attempts whose outcome is recorded. */
  recorded: number
  /** Claims nothing and starts nothing while true. */
  paused: boolean
  /** What waits for the settler. */
  endings: Array<Ending>
  readonly signals: {
    /** A slot is free or a job is buffered. */
    readonly work: Signal.Signal
    /** There is room, or a reason to look for due jobs. */
    readonly fetch: Signal.Signal
    /** Outcomes wait. */
    readonly settle: Signal.Signal
    /** Something is held again: its lease wants renewing. */
    readonly renew: Signal.Signal
    /** Something is held again: its lease may lapse. */
    readonly sweep: Signal.Signal
    /** Nothing is held any more. */
    readonly empty: Signal.Signal
  }
  readonly accept: (lane: Lane, row: ClaimedJob, handler: HandlerService, leaseEnd: number) => Held
  readonly started: (entry: Held, now: number) => void
  /** The attempt of a running entry is over; undefined: nothing to record. */
  readonly ended: (entry: Held, outcome: Outcome | undefined) => void
  readonly settle: (entry: Held, outcome: Outcome) => void
  readonly release: (entry: Held) => void
  /** Takes a buffered entry out of the buffer, or interrupts the fiber of a running one, for this reason. */
  readonly interrupt: (entry: Held, reason: Reason) => void
}

const makeLanes = (concurrency: number, queues: ReadonlyMap<string, number>): ReadonlyArray<Lane> => {
  const lane = (limit: number, only?: string): Lane => ({
    queues: only === undefined ? undefined : [only],
    exceptQueues: only === undefined && queues.size > 0 ? [...queues.keys()] : undefined,
    limit: Math.min(limit, concurrency),
    buffer: [],
    running: 0,
    ahead: 0,
    more: true,
    arrivedAt: 0,
    claimed: 0,
    used: 0,
    countedFrom: 0
  })
  return [lane(concurrency), ...Array.from(queues, ([queue, limit]) => lane(limit, queue))]
}

export const make = (settings: Settings, paused: boolean): Holds => {
  const byId = new ById<Held>()
  const signals = {
    work: Signal.make(),
    fetch: Signal.make(),
    settle: Signal.make(),
    renew: Signal.make(),
    sweep: Signal.make(),
    empty: Signal.make()
  }
  let running = 0

  const release = (entry: Held) => {
    if (!entry.held) return
    entry.held = false
    byId.delete(entry.row.id)
    if (byId.size === 0) signals.empty.raise()
  }

  const settle = (entry: Held, outcome: Outcome) => {
    entry.phase = "settling"
    holds.endings.push(new Ending(entry, outcome))
    signals.settle.raise()
  }

  const holds: Holds = {
    lanes: makeLanes(settings.concurrency, settings.queues),
    byId,
    running: () => running,
    wanted: (lane) => {
      // A storage that records more slowly than jobs end would have ever more of them to record. With half, a job is seldom
      // held for as long as V8 takes for two young collections, which would make it old.
      if (holds.endings.length > settings.prefetch / 2 + settings.concurrency) return 0
      const free = Math.max(0, Math.min(lane.limit - lane.running, settings.concurrency - running))
      const room = free + lane.ahead - lane.buffer.length
      return room > lane.ahead / 2 ? room : 0
    },
    ask: () => {
      if (holds.lanes.some((lane) => lane.more && holds.wanted(lane) > 0)) signals.fetch.raise()
    },
    recorded: 0,
    paused,
    endings: [],
    signals,
    accept: (lane, row, handler, leaseEnd) => {
      // its lease ran out unseen and this worker has it again: the earlier attempt must not go on beside the new one
      const earlier = byId.get(row.id)
      if (earlier !== undefined) {
        holds.interrupt(earlier, "lost")
        earlier.held = false
      }
      const entry = new Held(lane, row, handler, leaseEnd)
      byId.set(row.id, entry)
      lane.buffer.push(entry)
      return entry
    },
    started: (entry, now) => {
      entry.phase = "running"
      entry.startedAt = now
      if (!entry.handler.blocksRenewal) entry.timedFrom = now
      running++
      entry.lane.running++
    },
    ended: (entry, outcome) => {
      running--
      entry.lane.running--
      entry.lane.used++
      // an ended fiber is large, and the entry lives on until its outcome is recorded
      entry.fiber = undefined
      signals.work.raise()
      // handed back already, when it did not let itself be interrupted in time
      if (!entry.held || entry.phase !== "running") return
      if (outcome === undefined) release(entry)
      else settle(entry, outcome)
    },
    settle,
    release,
    interrupt: (entry, reason) => {
      if (entry.reason !== undefined || entry.phase === "settling") return
      entry.reason = reason
      if (entry.phase === "running") {
        entry.fiber?.unsafeInterruptAsFork(FiberId.none)
        return
      }
      const at = entry.lane.buffer.indexOf(entry)
      if (at >= 0) entry.lane.buffer.splice(at, 1)
      if (reason === "lost") release(entry)
      else
        settle(entry, { id: entry.row.id, token: entry.row.token, to: reason === "cancelled" ? "cancel" : "release" })
    }
  }
  return holds
}

/** Priority high first, then due time, then id: the order in which rows are claimed. */
export const before = (a: ClaimedJob, b: ClaimedJob): boolean =>
  a.priority !== b.priority ? a.priority > b.priority : a.runAt !== b.runAt ? a.runAt < b.runAt : a.id < b.id
