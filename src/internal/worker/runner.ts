/** Starts buffered jobs in free slots: one interruptible fiber per job. */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import type { CurrentJob } from "../../Job.js"
import type { ClaimedJob, Outcome, Service } from "../../JobStorage.js"
import type { Ended } from "../attempt.js"
import * as failure from "../failure.js"
import * as metrics from "../metrics.js"
import * as trace from "../trace.js"
import { type Deadlines, timeoutOf } from "./deadlines.js"
import type { Held, Holds, Lane } from "./holds.js"
import { before } from "./holds.js"
import * as Monotonic from "./monotonic.js"
import type { Settings } from "./options.js"

/** Jobs started before other fibers get a turn. */
const burst = 100

/** What the settler records, or undefined when there is nothing left to record. */
const outcomeOf = ({ reason, row: { id, token } }: Held, ended: Ended): Outcome | undefined => {
  if (reason === "lost") return undefined
  switch (ended._tag) {
    case "Success":
      return { id, token, to: "complete", result: ended.result }
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

export const make = (
  storage: Service,
  settings: Settings,
  holds: Holds,
  deadlines: Deadlines
): Effect.Effect<{ readonly turn: Effect.Effect<void> }> =>
  Effect.gen(function* () {
    // each job's fiber starts from the worker's own fiber refs, whoever forks it, and can be interrupted
    const runtime = yield* Effect.interruptible(Effect.runtime<never>())
    // each job brings a context of its own: with one there already, a fork compares the two, service by service
    const fiberRefs = FiberRefs.delete(runtime.fiberRefs, FiberRef.currentContext)
    const traced = yield* trace.isTraced
    const durationOf = metrics.attemptSeconds()

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

    const tooLong = (handler: Held["handler"]): string => {
      const limit = timeoutOf(handler, settings.lease)
      return limit === handler.job.timeout
        ? `no result within ${limit} ms`
        : `no result within ${limit} ms, a third of the lease: its transaction keeps all others from writing`
    }

    const start = (entry: Held, now: number, clock: Clock.Clock, scope: Scope.CloseableScope) => {
      const { handler, row } = entry
      const annotate = (refs: FiberRefs.FiberRefs, fiberId: FiberId.Runtime) =>
        FiberRefs.updateAs(refs, {
          fiberId,
          fiberRef: FiberRef.currentLogAnnotations,
          value: HashMap.make(["job", row.name], ["jobId", row.id], ["attempt", row.attempt])
        })

      const ended = (how: Ended) => {
        durationOf(row.name).unsafeUpdate((Monotonic.unsafeNow(clock) - now) / 1_000, [])
        if (how._tag === "Settled") {
          holds.recorded++
          metrics.unsafeSettled(row.name, "complete", 1)
        }
        holds.ended(entry, outcomeOf(entry, how))
      }

      holds.started(entry, now)
      handler.attempt(row, {
        current: currentOf(row),
        scope,
        complete: (result) =>
          Effect.map(
            storage.settle([{ id: row.id, token: row.token, to: "complete", result }]),
            ([accepted]) => accepted === true
          ),
        tooLong: tooLong(handler),
        began: () => {
          entry.timedFrom = Monotonic.unsafeNow(clock)
          deadlines.watch(entry)
        },
        reason: () => entry.reason,
        maxResult: storage.capabilities.limits.resultBytes,
        fork: (context, effect, done) => {
          const fiber = Runtime.runFork(
            Runtime.make({ context, runtimeFlags: runtime.runtimeFlags, fiberRefs }),
            traced || row.traceparent !== null ? trace.attempting(row)(effect) : effect,
            { updateRefs: annotate }
          )
          entry.fiber = fiber
          fiber.addObserver(done)
        },
        conclude: (how) => {
          Runtime.runFork(runtime, how, { updateRefs: annotate }).addObserver((exit) =>
            ended(
              Exit.isSuccess(exit)
                ? exit.value
                : { _tag: "Failure", failure: failure.make("die", Cause.squash(exit.cause)), retryIn: undefined }
            )
          )
        },
        ended
      })
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

    const turn = Effect.gen(function* () {
      const clock = yield* Effect.clock
      const now = Monotonic.unsafeNow(clock)
      let started = 0
      while (started < burst) {
        const entry = startable(now)
        if (entry === undefined) break
        start(entry, now, clock, yield* Scope.make())
        started++
      }
      if (holds.lanes.some((lane) => lane.more && holds.room(lane) > lane.ahead / 2)) holds.signals.fetch.raise()
      yield* started === burst ? Effect.yieldNow() : holds.signals.work.wait
    })

    return { turn }
  })
