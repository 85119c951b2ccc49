/** Claims due jobs into the buffers: when there is room, when woken, and at growing intervals while idle. */
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { HandlerService } from "../../Job.js"
import type { StorageError } from "../../JobError.js"
import type { ClaimedJob, Service } from "../../JobStorage.js"
import type { Deadlines } from "./deadlines.js"
import { handBack } from "./handBack.js"
import type { Holds, Lane } from "./holds.js"
import { longestSleep } from "./longestSleep.js"
import * as Monotonic from "../monotonic.js"
import type { Settings } from "./options.js"
import type { Runner } from "./runner.js"

const promoteBatch = 1_000
/** What is claimed ahead should last about this long, in milliseconds; when it lasts longer than `slow`, less is. */
const ahead = 250
const slow = 1_000

export interface Fetcher {
  readonly turn: Effect.Effect<void, StorageError>
  /** Returns once the storage has answered for the first time, or could not, or need not be asked. */
  readonly asked: Effect.Effect<void>
  /** There may be due jobs that this worker does not know of. */
  readonly wake: () => void
  /** Nothing held, and the storage had nothing due when last asked, after this was called. */
  readonly awaitIdle: Effect.Effect<void>
  readonly stop: Effect.Effect<void>
}

export const make = (
  storage: Service,
  settings: Settings,
  holds: Holds,
  deadlines: Deadlines,
  runner: Runner,
  handlers: ReadonlyMap<string, HandlerService>,
  owner: string
): Fetcher => {
  const names = [...handlers.keys()]
  // A job that is lost with its process has used up an attempt, started or not: one that has no other must not wait here.
  // To claim others ahead of it would let it wait for as long as there are any.
  const claimsAhead = [...handlers.values()].every(({ job }) => job.retries > 0)
  const { signals } = holds
  const told = storage.capabilities.wakeups === "exact"
  let poll = settings.pollInterval
  let woken = true
  let lookedAt = 0
  /** When the next scheduled job is due, as far as this worker knows. */
  let nextDue = Number.POSITIVE_INFINITY
  let waiters: Array<Deferred.Deferred<void>> = []
  const first = Deferred.unsafeMake<void>(FiberId.none)
  const answered = Effect.asVoid(Deferred.succeed(first, undefined))
  let stopped = false
  /** Something is held where nothing was: its lease wants renewing. */
  let fresh = false
  /** Something was held already, and what runs of it must have its turn to end. */
  let again = false

  const answer = (waiting: ReadonlyArray<Deferred.Deferred<void>>) =>
    Effect.suspend(() => {
      waiters = waiters.filter((waiter) => !waiting.includes(waiter))
      return Effect.forEach(waiting, (waiter) => Deferred.succeed(waiter, undefined), { discard: true })
    })

  const countFrom = (lane: Lane, now: number) => {
    lane.claimed = 0
    lane.used = 0
    lane.countedFrom = now
  }

  /**
   * As many ahead as the lane uses up in a while, at the rate of what it has used up since this was last done. A few do
   * not show a rate: a claim may follow another at once, when a hint comes, and not every look is worth a claim.
   */
  const reckon = (lane: Lane, now: number) => {
    if (!claimsAhead || !lane.more || lane.claimed === 0) return
    if (lane.used === 0 || 2 * lane.used < lane.claimed) return
    const rate = lane.used / Math.max(1, now - lane.countedFrom)
    // no more than tenfold at once: the first few jobs may not be like the others
    lane.ahead = Math.min(settings.prefetch, 10 * lane.claimed, Math.ceil(ahead * rate))
    countFrom(lane, now)
  }

  const accept = (lane: Lane, rows: ReadonlyArray<ClaimedJob>, asked: number, now: number) => {
    // when there was not enough, or nothing to do meanwhile, that says nothing of how fast jobs are
    if (!lane.more || lane.claimed + lane.used === 0) countFrom(lane, now)
    lane.claimed += rows.length
    lane.arrivedAt = now
    if (rows.length > 0 && holds.byId.size === 0) fresh = true
    let expected = holds.byId.size
    for (const row of rows) {
      const handler = handlers.get(row.name)
      if (handler === undefined) continue
      expected++
      const entry = holds.accept(lane, row, handler, asked + settings.lease)
      // all of them end at one time
      if (row === rows[0]) deadlines.watch(entry)
    }
    // fewer than that: one of them was held already
    again ||= holds.byId.size < expected
    return rows.length
  }

  const claim = (lane: Lane, clock: Clock.Clock): Effect.Effect<number, StorageError> =>
    Effect.suspend(() => {
      const asked = Monotonic.unsafeNow(clock)
      reckon(lane, asked)
      const limit = holds.wanted(lane)
      if (limit === 0) {
        // not asked, so there may be more: whoever makes room asks
        lane.more = true
        return Effect.succeed(0)
      }
      // until it has answered, room is no reason to ask again
      lane.more = false
      const { exceptQueues, queues } = lane
      return Effect.flatMap(
        storage.claim({ names, queues, exceptQueues, limit, owner, lease: settings.lease }),
        (rows) => {
          if (stopped) return Effect.as(handBack(storage, rows), 0)
          lane.more = rows.length === limit
          // after a lull the next jobs may be others
          if (rows.length === 0) lane.ahead = 0
          return Effect.succeed(accept(lane, rows, asked, Monotonic.unsafeNow(clock)))
        }
      )
    })

  /** Jobs turned slow: what was claimed ahead while they were quick should not wait here while others are idle. */
  const giveBack = (lane: Lane, now: number) => {
    if (lane.buffer.length <= lane.limit || now - lane.arrivedAt <= slow) return
    lane.ahead = 0
    countFrom(lane, now)
    for (const entry of lane.buffer.slice(lane.limit)) holds.interrupt(entry, "shutdown")
  }

  /** Scheduled jobs that have come due become pending; answers how many, a batch at most. */
  const promote = Effect.gen(function* () {
    const now = yield* Monotonic.now
    woken = false
    const { nextIn, promoted } = yield* Effect.tapError(storage.promote(promoteBatch), () =>
      Effect.sync(() => {
        woken = true
      })
    )
    lookedAt = now
    nextDue = nextIn === undefined ? Number.POSITIVE_INFINITY : now + nextIn
    return promoted
  })

  const paused = Effect.gen(function* () {
    for (const lane of holds.lanes) for (const entry of [...lane.buffer]) holds.interrupt(entry, "shutdown")
    if (holds.byId.size === 0) yield* answer(waiters)
    yield* Effect.raceFirst(signals.fetch.wait, signals.empty.wait)
  })

  const look = Effect.gen(function* () {
    const waiting = waiters
    // whoever waits for idleness must not miss what has come due since, but only the last look answers them
    if (waiting.length > 0 && holds.byId.size === 0) woken = true
    const clock = yield* Effect.clock
    const looked = Monotonic.unsafeNow(clock)
    // what is known to be due is claimed in order with the rest; a hint is of a job that waits already, most of the time
    let promoted = looked >= nextDue ? yield* promote : undefined
    for (const lane of holds.lanes) giveBack(lane, looked)
    const empty = holds.byId.size === 0
    // first of all the jobs begin; a worker that was told to stop meanwhile does not get here, and hands them back
    const begin = () => {
      if (again) signals.work.raise()
      else runner.begin(clock)
      again = false
      if (!fresh) return
      fresh = false
      signals.renew.raise()
      signals.sweep.raise()
    }
    let claimed = 0
    for (const lane of holds.lanes) {
      // claimed rows must reach the buffer, or nobody renews or hands them back
      const bring = Effect.uninterruptible(claim(lane, clock))
      claimed += yield* Effect.tapErrorCause(bring, () => {
        if (claimed > 0) begin()
        return answered
      })
    }
    if (claimed > 0) {
      poll = settings.pollInterval
      begin()
      yield* Effect.yieldNow()
    }
    yield* answered
    if (promoted === undefined && (woken || looked - lookedAt >= settings.pollInterval)) {
      promoted = yield* promote
      if (promoted > 0) return
    }
    if (promoted === promoteBatch) return
    if (claimed === 0 && empty && holds.byId.size === 0) yield* answer(waiting)
    const crowded = holds.lanes.some((lane) => lane.buffer.length > lane.limit)
    const now = Monotonic.unsafeNow(clock)
    const atMost = crowded ? Math.min(poll, slow) : told ? longestSleep : poll
    const wait = Math.max(1, Math.min(atMost, Math.ceil(nextDue - now)))
    const event = yield* waiters.length > 0
      ? Effect.raceFirst(signals.fetch.waitFor(wait), Effect.as(signals.empty.wait, true))
      : signals.fetch.waitFor(wait)
    if (event) return
    woken = true
    if (claimed === 0) poll = Math.min(settings.maxPollInterval, poll * 1.5)
  })

  return {
    turn: Effect.suspend(() => {
      if (holds.paused) return Effect.zipRight(answered, paused)
      // this look will see what there was to be told
      signals.fetch.lower()
      return look
    }),
    asked: Deferred.await(first),
    wake: () => {
      woken = true
      poll = settings.pollInterval
      signals.fetch.raise()
    },
    awaitIdle: Effect.flatMap(Deferred.make<void>(), (waiter) => {
      if (stopped) return Effect.void
      waiters.push(waiter)
      signals.fetch.raise()
      return Effect.ensuring(
        Deferred.await(waiter),
        Effect.sync(() => {
          waiters = waiters.filter((other) => other !== waiter)
        })
      )
    }),
    stop: Effect.suspend(() => {
      stopped = true
      return answer(waiters)
    })
  }
}
