/** Starts buffered jobs in free slots: one interruptible fiber per job. */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRefs from "effect/FiberRefs"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import type { CurrentJob } from "../../Job.js"
import type { ClaimedJob, Hold, Outcome, Service } from "../../JobStorage.js"
import type { Ended, Lent } from "../attempt.js"
import * as EventLoop from "../eventLoop.js"
import * as failure from "../failure.js"
import * as metrics from "../metrics.js"
import * as trace from "../trace.js"
import { type Deadlines, timeoutOf } from "./deadlines.js"
import type { Held, Holds, Lane } from "./holds.js"
import { before } from "./holds.js"
import * as jobRefs from "./jobRefs.js"
import * as Monotonic from "../monotonic.js"
import type { Settings } from "./options.js"

/** So many jobs at most are started, or for so many milliseconds, before sockets, timers and other fibers get a turn. */
const burst = 1_000
const slice = 10

/** How nearly all end. A class, for the reason that `Held` is one. */
class Completed implements Hold {
  readonly id: string
  readonly token: number
  readonly to = "complete"
  readonly result: string | null

  constructor(id: string, token: number, result: string | null) {
    this.id = id
    this.token = token
    this.result = result
  }
}

/** What the settler records, or undefined when there is nothing left to record. */
const outcomeOf = ({ reason, row: { id, token } }: Held, ended: Ended): Outcome | undefined => {
  if (reason === "lost") return undefined
  switch (ended._tag) {
    case "Success":
      return new Completed(id, token, ended.result)
    case "Settled":
    case "Fenced":
      return undefined
    case "Interrupted":
      return { id, token, to: reason === "cancelled" ? "cancel" : "release" }
    case "Snooze":
      return { id, token, to: "snooze", delay: ended.delay }
    case "Failure":
      return ended.retryIn === undefined
        ? { id, token, to: "fail", failure: JSON.stringify(ended.failure) }
        : { id, token, to: "retry", delay: ended.retryIn, failure: JSON.stringify(ended.failure) }
  }
}

const best = (lanes: ReadonlyArray<Lane>): Lane | undefined => {
  let found: Lane | undefined
  for (const lane of lanes) {
    const head = lane.buffer[0]
    if (head === undefined || lane.running >= lane.limit) continue
    const rival = found?.buffer[0]
    if (rival === undefined || before(head.row, rival.row)) found = lane
  }
  return found
}

/** A fork copies and compares what refs it begins with; a job is given all of its own at once. */
const noRefs = FiberRefs.unsafeMake(new Map())

export interface Runner {
  readonly turn: Effect.Effect<void>
  /** Starts what is buffered, without a wait for this loop's turn. */
  readonly begin: (clock: Clock.Clock) => void
}

export const make = (storage: Service, settings: Settings, holds: Holds, deadlines: Deadlines): Effect.Effect<Runner> =>
  Effect.gen(function* () {
    // each job's fiber starts from the worker's own fiber refs, whoever forks it, and can be interrupted
    const runtime = yield* Effect.interruptible(Effect.runtime<never>())
    const uninterruptible = RuntimeFlags.disable(runtime.runtimeFlags, RuntimeFlags.Interruption)
    const refsFor = jobRefs.make(runtime.fiberRefs)
    const traced = yield* trace.isTraced
    const durationOf = metrics.attemptSeconds()
    const settledOf = metrics.settled()
    const maxResult = storage.capabilities.limits.resultBytes
    /** The time when this was last looked at: one job's end is the next one's start, where jobs do not wait. */
    let latest = 0

    const currentOf = (row: ClaimedJob): Context.Tag.Service<CurrentJob> => ({
      id: row.id,
      name: row.name,
      queue: row.queue,
      attempt: row.attempt,
      maxAttempts: row.maxAttempts,
      enqueuedAt: row.enqueuedAt,
      schedule: row.scheduleId === null ? undefined : { id: row.scheduleId, slot: row.slot ?? undefined },
      progress: (fraction, message) =>
        Effect.asVoid(
          storage.progress(
            { id: row.id, token: row.token },
            Number.isNaN(fraction) ? 0 : Math.min(1, Math.max(0, fraction)),
            message?.slice(0, 500) ?? null
          )
        )
    })

    // one object a job: closures would be ten
    class Running implements Lent<Context.Tag.Service<CurrentJob>> {
      readonly maxResult = maxResult
      private readonly entry: Held
      private readonly clock: Clock.Clock

      constructor(entry: Held, clock: Clock.Clock) {
        this.entry = entry
        this.clock = clock
      }

      current() {
        return currentOf(this.entry.row)
      }

      complete(result: string | null) {
        const { id, token } = this.entry.row
        return Effect.map(storage.settle([{ id, token, to: "complete", result }]), ([accepted]) => accepted === true)
      }

      tooLong() {
        const { handler } = this.entry
        const limit = timeoutOf(handler, settings.lease)
        return limit === handler.job.timeout
          ? `no result within ${limit} ms`
          : `no result within ${limit} ms, a third of the lease: its transaction keeps all others from writing`
      }

      began() {
        this.entry.timedFrom = Monotonic.unsafeNow(this.clock)
        deadlines.watch(this.entry)
      }

      reason() {
        return this.entry.reason
      }

      fork<S, E, R>(
        context: Context.Context<R>,
        effect: Effect.Effect<S, E, R>,
        done: (exit: Exit.Exit<S, E>) => void
      ) {
        const { row } = this.entry
        const fiber = Runtime.runFork(
          Runtime.make({ context, runtimeFlags: uninterruptible, fiberRefs: noRefs }),
          traced || row.traceparent !== null ? trace.attempting(row)(effect) : effect,
          { updateRefs: (_, fiberId) => refsFor(row, context, fiberId) }
        )
        this.entry.fiber = fiber
        fiber.addObserver(done)
      }

      conclude(how: Effect.Effect<Ended>) {
        Runtime.runFork(runtime, how, {
          updateRefs: (_, fiberId) => refsFor(this.entry.row, runtime.context, fiberId)
        }).addObserver((exit) =>
          this.ended(
            Exit.isSuccess(exit)
              ? exit.value
              : { _tag: "Failure", failure: failure.make("die", Cause.squash(exit.cause)), retryIn: undefined }
          )
        )
      }

      ended(how: Ended) {
        const { entry } = this
        latest = Monotonic.unsafeNow(this.clock)
        durationOf(entry.row.name).unsafeUpdate((latest - entry.startedAt) / 1_000, metrics.noLabels)
        if (how._tag === "Settled") {
          holds.recorded++
          settledOf(entry.row.name)("complete").unsafeUpdate(1, metrics.noLabels)
        }
        holds.ended(entry, outcomeOf(entry, how))
      }
    }

    const start = (entry: Held, now: number, clock: Clock.Clock) => {
      holds.started(entry, now)
      entry.handler.attempt(entry.row, new Running(entry, clock))
      if (entry.phase === "running") deadlines.watch(entry)
    }

    const startable = (now: number): Held | undefined => {
      if (holds.running() >= settings.concurrency || holds.paused) return undefined
      for (;;) {
        const entry = best(holds.lanes)?.buffer[0]
        // it may run elsewhere already: never start on a lease that has ended
        if (entry === undefined || entry.leaseEnd > now) {
          entry?.lane.buffer.shift()
          return entry
        }
        holds.interrupt(entry, "shutdown")
      }
    }

    /** Answers whether there may be more to start. */
    const startMany = (clock: Clock.Clock): boolean => {
      const began = Monotonic.unsafeNow(clock)
      latest = began
      let started = 0
      let full = false
      while (!full) {
        const entry = startable(latest)
        if (entry === undefined) break
        start(entry, latest, clock)
        started++
        full = started === burst || latest - began >= slice
      }
      holds.ask()
      return full
    }

    const turn = Effect.flatMap(Effect.clock, (clock) => (startMany(clock) ? EventLoop.turn : holds.signals.work.wait))

    return {
      turn,
      begin: (clock) => {
        if (startMany(clock)) holds.signals.work.raise()
      }
    }
  })
