/** One running worker: fetcher, runner, settler, renewer, sweeper and listener under one scope. */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { CurrentJob, type Ended, type HandlerService } from "../../Job.js"
import type { ClaimedJob, Outcome, Service } from "../../JobStorage.js"
import * as failure from "../failure.js"
import * as trace from "../trace.js"
import { before, type Held, type Lane, lanes as makeLanes, type Reason } from "./holds.js"
import * as Loop from "./loop.js"
import type { Settings } from "./options.js"
import * as Settler from "./settler.js"
import * as Signal from "./signal.js"

const renewBatch = 1_000
const sweepBatch = 1_000
const promoteBatch = 1_000
/** How long an interrupted handler may take to run its finalizers before its job is handed back without it. */
const abandonAfter = 1_000
const crashFailure = JSON.stringify(failure.stated("crashed", "WorkerCrashed", "the worker holding the job vanished"))

export interface Engine {
  /** Claims nothing while paused; running jobs go on. */
  readonly setPaused: (paused: boolean) => void
  /** Nothing held, and the store had nothing due when last asked, after this was called. */
  readonly awaitIdle: Effect.Effect<void>
  /** Stop claiming, hand back what waits, drain to the deadline, interrupt the rest, hand their leases back. */
  readonly shutdown: Effect.Effect<void>
  readonly running: () => ReadonlyArray<Held>
  readonly buffered: () => number
  readonly finished: () => number
  readonly health: () => { readonly [loop: string]: Loop.Health }
}

export const make = (
  storage: Service,
  settings: Settings,
  handlers: ReadonlyMap<string, HandlerService>,
  owner: string,
  initiallyPaused: boolean
): Effect.Effect<Engine, never, Scope.Scope> =>
  Effect.gen(function* () {
    const names = [...handlers.keys()]
    const lanes = makeLanes(settings.concurrency, settings.queues)
    const held = new Map<string, Held>()
    const work = yield* Signal.make
    const fetch = yield* Signal.make
    const loops = {
      fetcher: Loop.make("fetcher"),
      settler: Loop.make("settler"),
      renewer: Loop.make("renewer"),
      sweeper: Loop.make("sweeper"),
      listener: Loop.make("listener")
    }
    let running = 0
    let finished = 0
    let paused = initiallyPaused
    let stopping = false
    let idleWaiters: Array<Deferred.Deferred<void>> = []
    const drained = yield* Signal.make

    const release = (entry: Held) => {
      if (held.get(entry.row.id) === entry) held.delete(entry.row.id)
      if (stopping) drained.raise()
      // whoever waits for idleness wants the fetcher to look once more
      if (held.size === 0 && idleWaiters.length > 0) fetch.raise()
    }

    const settler = yield* Settler.make(storage, loops.settler, (outcome, accepted) => {
      const entry = held.get(outcome.id)
      if (entry !== undefined && entry.row.token === outcome.token) release(entry)
      if (accepted) {
        finished++
        if (outcome.to === "retry" || outcome.to === "snooze") fetch.raise()
      }
    })

    // -- runner -------------------------------------------------------------------------------------------------------

    const settle = (entry: Held, outcome: Outcome) => {
      entry.phase = "settling"
      settler.offer(outcome)
    }

    const outcomeOf = (
      { reason, row }: Held,
      exit: Exit.Exit<unknown, unknown>,
      ended: Ended | undefined
    ): Outcome | undefined => {
      const hold = { id: row.id, token: row.token }
      if (reason === "lost") return undefined
      if (ended !== undefined) {
        switch (ended._tag) {
          case "Success":
            return { ...hold, to: "complete", result: ended.result }
          case "Settled":
          case "Fenced":
            return undefined
          case "Snooze":
            return { ...hold, to: "snooze", delay: ended.delay }
          case "Failure":
            if (reason === "cancelled") return { ...hold, to: "cancel" }
            if (reason === "shutdown" && ended.failure.kind === "interrupted") return { ...hold, to: "release" }
            return ended.retryIn === undefined
              ? { ...hold, to: "fail", failure: JSON.stringify(ended.failure) }
              : { ...hold, to: "retry", delay: ended.retryIn, failure: JSON.stringify(ended.failure) }
        }
      }
      if (reason === "cancelled") return { ...hold, to: "cancel" }
      if (reason === "shutdown") return { ...hold, to: "release" }
      const stored = Exit.isFailure(exit) ? exit.cause : undefined
      return { ...hold, to: "fail", failure: JSON.stringify(failure.make("die", stored)) }
    }

    const start = (entry: Held, now: number): Effect.Effect<void> => {
      const { handler, lane, row } = entry
      const hold = { id: row.id, token: row.token }
      entry.phase = "running"
      entry.startedAt = now
      running++
      lane.running++
      let ended: Ended | undefined
      const attempt = handler
        .attempt(row, (result) =>
          Effect.map(storage.settle([{ ...hold, to: "complete", result }]), ([accepted]) => accepted === true)
        )
        .pipe(
          Effect.provideService(CurrentJob, {
            id: row.id,
            name: row.name,
            queue: row.queue,
            attempt: row.attempt,
            maxAttempts: row.maxAttempts,
            enqueuedAt: row.enqueuedAt,
            progress: (fraction, message) =>
              Effect.asVoid(storage.progress(hold, Math.min(1, Math.max(0, fraction)), message?.slice(0, 500) ?? null))
          }),
          Effect.annotateLogs({ job: row.name, jobId: row.id, attempt: row.attempt }),
          trace.continued(row),
          Effect.map((value) => {
            ended = value
          })
        )
      return Effect.map(Effect.forkDaemon(Effect.interruptible(attempt)), (fiber) => {
        entry.fiber = fiber
        fiber.addObserver((exit) => {
          running--
          lane.running--
          const outcome = held.get(row.id) === entry ? outcomeOf(entry, exit, ended) : undefined
          if (outcome === undefined) release(entry)
          else settle(entry, outcome)
          work.raise()
        })
      })
    }

    const best = (): Lane | undefined => {
      let found: Lane | undefined
      for (const lane of lanes) {
        const head = lane.buffer[0]
        if (head === undefined || lane.running >= lane.limit) continue
        const rival = found?.buffer[0]
        if (rival === undefined || before(head.row, rival.row)) found = lane
      }
      return found
    }

    const wants = (lane: Lane): number => {
      const free = Math.min(lane.limit - lane.running, settings.concurrency - running)
      return Math.max(0, free) + lane.ahead - lane.buffer.length
    }

    const runner = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      while (running < settings.concurrency && !stopping && !paused) {
        const lane = best()
        const entry = lane?.buffer.shift()
        if (entry === undefined) break
        if (entry.leaseEnd <= now) {
          // it may run elsewhere already: never start on a lease that has ended
          release(entry)
          continue
        }
        yield* start(entry, now)
      }
      if (!paused && lanes.some((lane) => lane.more && wants(lane) > Math.max(0, lane.ahead / 2))) fetch.raise()
      yield* work.wait
    })

    // -- fetcher ------------------------------------------------------------------------------------------------------

    const accept = (lane: Lane, rows: ReadonlyArray<ClaimedJob>, leaseEnd: number) => {
      for (const row of rows) {
        const handler = handlers.get(row.name)
        if (handler === undefined) continue
        const entry: Held = {
          row,
          handler,
          lane,
          phase: "buffered",
          fiber: undefined,
          reason: undefined,
          leaseEnd,
          startedAt: undefined
        }
        held.set(row.id, entry)
        lane.buffer.push(entry)
      }
    }

    const claim = (lane: Lane): Effect.Effect<number, Effect.Effect.Error<ReturnType<Service["claim"]>>> =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const elapsed = now - lane.claimedAt
        if (lane.more && lane.claimedAt > 0) {
          if (elapsed < 250) lane.ahead = Math.min(settings.prefetch, Math.max(lane.limit, lane.ahead * 4))
          else if (elapsed > 1_000) lane.ahead = Math.floor(lane.ahead / 2)
        }
        const limit = wants(lane)
        if (limit <= 0) return 0
        lane.claimedAt = now
        const rows = yield* storage.claim({
          names,
          queues: lane.queues,
          exceptQueues: lane.exceptQueues,
          limit,
          owner,
          lease: settings.lease
        })
        lane.more = rows.length === limit
        accept(lane, rows, now + settings.lease)
        return rows.length
      })

    let idle = settings.pollInterval
    const fetcher = Effect.gen(function* () {
      if (paused) {
        for (const lane of lanes) for (const entry of [...lane.buffer]) yield* interrupt(entry, "shutdown")
        const waiters = held.size === 0 ? idleWaiters : []
        if (held.size === 0) idleWaiters = []
        for (const waiter of waiters) yield* Deferred.succeed(waiter, undefined)
        return yield* fetch.wait
      }
      const asked = idleWaiters
      const { nextIn, promoted } = yield* storage.promote(promoteBatch)
      const now = yield* Clock.currentTimeMillis
      const nextDue = nextIn === undefined ? Number.POSITIVE_INFINITY : now + nextIn
      let claimed = 0
      for (const lane of lanes) {
        // claimed rows must reach the buffer, or nobody renews or hands them back
        claimed += yield* Effect.uninterruptible(claim(lane))
      }
      if (claimed > 0) {
        idle = settings.pollInterval
        work.raise()
      } else if (promoted < promoteBatch && held.size === 0) {
        idleWaiters = idleWaiters.filter((waiter) => !asked.includes(waiter))
        for (const waiter of asked) yield* Deferred.succeed(waiter, undefined)
      }
      if (promoted === promoteBatch) return
      const wait = Math.max(1, Math.min(idle, nextDue - now))
      yield* Effect.raceFirst(fetch.wait, Effect.sleep(wait))
      if (claimed === 0) idle = Math.min(settings.maxPollInterval, idle * 1.5)
    })

    // -- renewer ------------------------------------------------------------------------------------------------------

    const interrupt = (entry: Held, reason: Reason): Effect.Effect<void> => {
      if (entry.reason !== undefined || entry.phase === "settling") return Effect.void
      entry.reason = reason
      if (entry.phase === "running") return entry.fiber === undefined ? Effect.void : Fiber.interruptFork(entry.fiber)
      const at = entry.lane.buffer.indexOf(entry)
      if (at >= 0) entry.lane.buffer.splice(at, 1)
      if (reason === "lost") release(entry)
      else
        settle(entry, { id: entry.row.id, token: entry.row.token, to: reason === "cancelled" ? "cancel" : "release" })
      return Effect.void
    }

    const lose = (entry: Held): Effect.Effect<void> =>
      Effect.zipRight(
        Effect.logWarning("dbjobq: lease lost, the job is interrupted").pipe(
          Effect.annotateLogs({ job: entry.row.name, jobId: entry.row.id })
        ),
        interrupt(entry, "lost")
      )

    const renew = Effect.gen(function* () {
      const entries = [...held.values()]
      for (let i = 0; i < entries.length; i += renewBatch) {
        const part = entries.slice(i, i + renewBatch)
        const now = yield* Clock.currentTimeMillis
        const answers = yield* storage.renew(
          part.map(({ row }) => ({ id: row.id, token: row.token })),
          settings.lease
        )
        for (let k = 0; k < part.length; k++) {
          const entry = part[k]
          if (entry === undefined || held.get(entry.row.id) !== entry || entry.phase === "settling") continue
          if (answers[k] === "lost") yield* lose(entry)
          else {
            entry.leaseEnd = now + settings.lease
            if (answers[k] === "cancelRequested") yield* interrupt(entry, "cancelled")
          }
        }
      }
    })

    // a storage that does not answer must not keep a job running past its lease
    const expire = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      for (const entry of held.values()) {
        if (entry.leaseEnd <= now && entry.phase !== "settling") yield* lose(entry)
      }
    })

    const third = settings.lease / 3
    const renewer = Effect.sleep(third).pipe(
      Effect.zipRight(
        Effect.ensuring(
          Effect.suspend(() => (held.size === 0 ? Effect.void : Effect.timeout(Effect.disconnect(renew), third))),
          expire
        )
      )
    )

    // -- sweeper ------------------------------------------------------------------------------------------------------

    const sweeper = Effect.gen(function* () {
      const swept = yield* storage.sweep({
        limit: sweepBatch,
        crashLimit: settings.crashLimit,
        crashFailure,
        retention: settings.retention
      })
      if (swept.rescued > 0) fetch.raise()
      const full = swept.rescued >= sweepBatch || swept.ended >= sweepBatch || swept.removed >= sweepBatch
      yield* Effect.sleep(full ? 100 : settings.sweepInterval)
    })

    // -- listener -----------------------------------------------------------------------------------------------------

    const listener = Stream.runForEach(storage.wakeups, () =>
      Effect.sync(() => {
        idle = settings.pollInterval
        fetch.raise()
      })
    ).pipe(Effect.zipRight(Effect.never))

    const settling = yield* Effect.forkScoped(Effect.interruptible(settler.run))
    const renewing = yield* Effect.forkScoped(Effect.interruptible(loops.renewer.run(renewer)))
    const background = [settling, renewing]
    const dispatching = yield* Effect.forkScoped(Effect.interruptible(Effect.forever(runner)))
    const claiming = [
      yield* Effect.forkScoped(Effect.interruptible(loops.fetcher.run(fetcher))),
      yield* Effect.forkScoped(Effect.interruptible(loops.sweeper.run(sweeper))),
      yield* Effect.forkScoped(Effect.interruptible(loops.listener.run(listener)))
    ]

    const drainUntil = (empty: () => boolean): Effect.Effect<void> =>
      Effect.suspend(() => (empty() ? Effect.void : Effect.zipRight(drained.wait, drainUntil(empty))))

    const shutdown = Effect.gen(function* () {
      stopping = true
      yield* Effect.timeoutOption(Effect.interruptible(Effect.disconnect(Fiber.interruptAll(claiming))), 5_000)
      yield* Fiber.interrupt(dispatching)
      for (const lane of lanes) for (const entry of [...lane.buffer]) yield* interrupt(entry, "shutdown")
      yield* Effect.timeoutOption(Effect.interruptible(drainUntil(() => held.size === 0)), settings.shutdownTimeout)
      for (const entry of [...held.values()]) yield* interrupt(entry, "shutdown")
      yield* Effect.timeoutOption(Effect.interruptible(drainUntil(() => held.size === 0)), abandonAfter)
      for (const entry of [...held.values()]) {
        if (entry.phase !== "running") continue
        yield* Effect.logError("dbjobq: a handler did not let itself be interrupted; its job is handed back").pipe(
          Effect.annotateLogs({ job: entry.row.name, jobId: entry.row.id })
        )
        settle(entry, { id: entry.row.id, token: entry.row.token, to: "release" })
      }
      yield* Effect.timeoutOption(Effect.interruptible(drainUntil(() => held.size === 0)), abandonAfter)
      yield* Effect.timeoutOption(Effect.interruptible(Effect.disconnect(Fiber.interruptAll(background))), abandonAfter)
      for (const waiter of idleWaiters) yield* Deferred.succeed(waiter, undefined)
      idleWaiters = []
    })

    return {
      setPaused: (value) => {
        paused = value
        fetch.raise()
        work.raise()
      },
      awaitIdle: Effect.flatMap(Deferred.make<void>(), (waiter) => {
        idleWaiters.push(waiter)
        fetch.raise()
        return Deferred.await(waiter)
      }),
      shutdown,
      running: () => [...held.values()].filter((entry) => entry.phase === "running"),
      buffered: () => lanes.reduce((sum, lane) => sum + lane.buffer.length, 0),
      finished: () => finished,
      health: () => ({
        fetcher: loops.fetcher.health(),
        settler: loops.settler.health(),
        renewer: loops.renewer.health(),
        sweeper: loops.sweeper.health(),
        listener: loops.listener.health()
      })
    }
  })
