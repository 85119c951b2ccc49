/** Starts buffered jobs in free slots: one interruptible fiber per job. */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import * as Runtime from "effect/Runtime"
import type { CurrentJob } from "../../Job.js"
import type { Outcome, Service } from "../../JobStorage.js"
import type { Ended, Lent } from "../attempt.js"
import * as failure from "../failure.js"
import * as metrics from "../metrics.js"
import * as trace from "../trace.js"
import * as Deadlines from "./deadlines.js"
import type { Held, Holds, Lane } from "./holds.js"
import { before } from "./holds.js"
import type { Settings } from "./options.js"

/** Jobs started before other fibers get a turn. */
const burst = 100

/** What the settler records, or undefined when there is nothing left to record. */
const outcomeOf = ({ reason, row }: Held, exit: Exit.Exit<Ended>): Outcome | undefined => {
  const hold = { id: row.id, token: row.token }
  if (reason === "lost") return undefined
  if (Exit.isFailure(exit)) return { ...hold, to: "fail", failure: JSON.stringify(failure.make("die", exit.cause)) }
  const ended = exit.value
  switch (ended._tag) {
    case "Success":
      return { ...hold, to: "complete", result: ended.result }
    case "Settled":
    case "Fenced":
      return undefined
    case "Interrupted":
      return { ...hold, to: reason === "cancelled" ? "cancel" : "release" }
    case "Snooze":
      return { ...hold, to: "snooze", delay: ended.delay }
    case "Failure":
      return ended.retryIn === undefined
        ? { ...hold, to: "fail", failure: JSON.stringify(ended.failure) }
        : { ...hold, to: "retry", delay: ended.retryIn, failure: JSON.stringify(ended.failure) }
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

export interface Runner {
  readonly turn: Effect.Effect<void>
  /** Interrupts the attempts that take too long. Never ends. */
  readonly deadlines: Effect.Effect<never>
}

export const make = (storage: Service, settings: Settings, holds: Holds): Effect.Effect<Runner> =>
  Effect.gen(function* () {
    // each job's fiber starts from the worker's own context and fiber refs, whoever forks it. It is
    // uninterruptible around the handler, so that an interrupted attempt still says how it ended
    const runtime = yield* Effect.uninterruptible(Effect.runtime<never>())
    const traced = yield* trace.isTraced
    const deadlines = yield* Deadlines.make(holds)
    const durations = new Map<string, ReturnType<typeof metrics.attemptSeconds>>()

    const durationOf = (name: string) => {
      const known = durations.get(name)
      if (known !== undefined) return known
      const made = metrics.attemptSeconds(name)
      durations.set(name, made)
      return made
    }

    const lend = (entry: Held): Lent<Context.Tag.Service<CurrentJob>> => {
      const { row } = entry
      const hold = { id: row.id, token: row.token }
      return {
        current: {
          id: row.id,
          name: row.name,
          queue: row.queue,
          attempt: row.attempt,
          maxAttempts: row.maxAttempts,
          enqueuedAt: row.enqueuedAt,
          schedule: row.scheduleId === null ? undefined : { id: row.scheduleId, slot: row.slot ?? undefined },
          progress: (fraction, message) =>
            Effect.asVoid(storage.progress(hold, Math.min(1, Math.max(0, fraction)), message?.slice(0, 500) ?? null))
        },
        complete: (result) =>
          Effect.map(storage.settle([{ ...hold, to: "complete", result }]), ([accepted]) => accepted === true),
        reason: () => entry.reason,
        maxResult: storage.capabilities.limits.resultBytes
      }
    }

    const start = (entry: Held, now: number, clock: Clock.Clock) => {
      const { handler, row } = entry
      holds.started(entry, now)
      const attempt = Effect.suspend(() => handler.attempt(row, lend(entry)))
      const fiber = Runtime.runFork(
        runtime,
        traced || row.traceparent !== null ? trace.attempting(row)(attempt) : attempt,
        {
          updateRefs: (refs, fiberId) =>
            FiberRefs.updateAs(refs, {
              fiberId,
              fiberRef: FiberRef.currentLogAnnotations,
              value: HashMap.make(["job", row.name], ["jobId", row.id], ["attempt", row.attempt])
            })
        }
      )
      entry.fiber = fiber
      fiber.addObserver((exit) => {
        durationOf(row.name).unsafeUpdate((clock.unsafeCurrentTimeMillis() - now) / 1_000, [])
        if (Exit.isSuccess(exit) && exit.value._tag === "Settled") {
          holds.recorded++
          metrics.unsafeSettled(row.name, "complete", 1)
        }
        holds.ended(entry, outcomeOf(entry, exit))
      })
      if (entry.phase === "running") deadlines.watch(entry)
    }

    const startSome = (now: number, clock: Clock.Clock): boolean => {
      for (let n = 0; n < burst; n++) {
        if (holds.running() >= settings.concurrency || holds.paused) return false
        const entry = best(holds.lanes)?.buffer.shift()
        if (entry === undefined) return false
        // it may run elsewhere already: never start on a lease that has ended
        if (entry.leaseEnd <= now) holds.release(entry)
        else start(entry, now, clock)
      }
      return true
    }

    const turn = Effect.gen(function* () {
      const clock = yield* Effect.clock
      const more = startSome(clock.unsafeCurrentTimeMillis(), clock)
      if (holds.lanes.some((lane) => lane.more && holds.room(lane) > lane.ahead / 2)) holds.signals.fetch.raise()
      yield* more ? Effect.yieldNow() : holds.signals.work.wait
    })

    return { turn, deadlines: deadlines.run }
  })
