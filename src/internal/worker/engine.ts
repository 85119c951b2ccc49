/** One running worker: its loops under one scope, and their orderly end. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { HandlerService } from "../../Job.js"
import type { Service } from "../../JobStorage.js"
import * as Bounded from "./bounded.js"
import * as Deadlines from "./deadlines.js"
import * as Fetcher from "./fetcher.js"
import * as Holds from "./holds.js"
import * as Listener from "./listener.js"
import * as Loop from "./loop.js"
import type { Settings } from "./options.js"
import * as Renewer from "./renewer.js"
import * as Runner from "./runner.js"
import * as Scheduler from "./scheduler.js"
import * as Settler from "./settler.js"
import * as Signal from "../signal.js"
import * as Sweeper from "./sweeper.js"

/** How long an interrupted handler may take to run its finalizers before its job is handed back without it. */
const abandonAfter = "1 second"
/** How long a claim under way at shutdown is waited for, so that what it brings can be handed back. */
const lastClaim = "5 seconds"

/** How long the first claim goes before all else; a storage may not answer it at all. */
const headStart = "1 second"

export interface Engine {
  /** Claims nothing while paused; running jobs go on. */
  readonly setPaused: (paused: boolean) => void
  /** Nothing held, and the storage had nothing due when last asked, after this was called. */
  readonly awaitIdle: Effect.Effect<void>
  /** Stop claiming, hand back what waits, drain to the deadline, interrupt the rest, hand their leases back. */
  readonly shutdown: Effect.Effect<void>
  readonly running: () => ReadonlyArray<Holds.Held>
  readonly buffered: () => number
  readonly recorded: () => number
  readonly health: () => { readonly [loop: string]: Loop.Health }
}

export const make = (
  storage: Service,
  settings: Settings,
  handlers: ReadonlyMap<string, HandlerService>,
  owner: string,
  paused: boolean
): Effect.Effect<Engine, never, Scope.Scope> =>
  Effect.gen(function* () {
    const holds = Holds.make(settings, paused)
    const deadlines = Deadlines.make(holds, settings.lease)
    const runner = yield* Runner.make(storage, settings, holds, deadlines)
    const bounded = Bounded.make(storage, settings.lease)
    const fetcher = Fetcher.make(bounded, settings, holds, deadlines, runner, handlers, owner)
    const settler = Settler.make(bounded, holds)
    const renewer = Renewer.make(storage, settings, holds)
    const sweeper = Sweeper.make(bounded, settings, holds, fetcher.wake)
    const wake = Signal.make()
    const scheduling = Loop.make("scheduler")
    const scheduler = Scheduler.make(bounded, {
      pollInterval: settings.schedulePollInterval,
      wake,
      fired: fetcher.wake,
      report: scheduling.report
    })

    const health = new Map<string, () => Loop.Health>()
    const within = <A>(limit: Duration.DurationInput, effect: Effect.Effect<A>) =>
      Effect.timeoutOption(Effect.interruptible(Effect.disconnect(effect)), limit)
    const fork = <A>(effect: Effect.Effect<A>) => Effect.forkScoped(Effect.interruptible(effect))
    const loop = <E>(
      name: string,
      { turn }: { readonly turn: Effect.Effect<void, E> },
      made = Loop.make(name),
      first: Effect.Effect<unknown> = Effect.void
    ) => {
      health.set(name, made.health)
      return fork(Effect.zipRight(first, made.run(turn)))
    }
    // what starts together gets in each other's way, and the jobs that wait already are what a worker is started for
    const claimed = within(headStart, fetcher.asked)
    const listening = Loop.make("listener")
    const listener = Listener.make(storage, { jobs: fetcher.wake, schedules: wake.raise }, listening.report(undefined))

    const keeping = [yield* loop("settler", settler), yield* loop("renewer", renewer)]
    const starting = yield* loop("runner", runner)
    const timing = yield* loop("deadlines", deadlines)
    const claiming = [
      yield* loop("fetcher", fetcher),
      yield* loop("listener", listener, listening, claimed),
      yield* loop("scheduler", scheduler, scheduling, claimed),
      yield* loop("sweeper", sweeper, undefined, claimed)
    ]

    const emptied: Effect.Effect<void> = Effect.suspend(() =>
      holds.byId.size === 0 ? Effect.void : Effect.zipRight(holds.signals.empty.wait, emptied)
    )
    const interruptAll = (entries: Iterable<Holds.Held>) => {
      for (const entry of [...entries]) holds.interrupt(entry, "shutdown")
    }

    const shutdown = Effect.gen(function* () {
      yield* within(lastClaim, Fiber.interruptAll(claiming))
      yield* Fiber.interrupt(starting)
      interruptAll(holds.lanes.flatMap((lane) => lane.buffer))
      yield* within(settings.shutdownTimeout, emptied)
      interruptAll(holds.byId.values())
      yield* within(abandonAfter, emptied)
      for (const entry of [...holds.byId.values()]) {
        if (entry.phase !== "running") continue
        yield* Effect.logError("dbjobq: a handler did not let itself be interrupted; its job is handed back").pipe(
          Effect.annotateLogs({ job: entry.row.name, jobId: entry.row.id, attempt: entry.row.attempt })
        )
        holds.settle(entry, { id: entry.row.id, token: entry.row.token, to: "release" })
      }
      yield* within(abandonAfter, emptied)
      yield* within(abandonAfter, Fiber.interruptAll([timing, ...keeping]))
      yield* fetcher.stop
    })

    return {
      setPaused: (value) => {
        holds.paused = value
        holds.signals.fetch.raise()
        holds.signals.work.raise()
      },
      awaitIdle: fetcher.awaitIdle,
      shutdown,
      running: () => [...holds.byId.values()].filter((entry) => entry.phase === "running"),
      buffered: () => holds.lanes.reduce((sum, lane) => sum + lane.buffer.length, 0),
      recorded: () => holds.recorded,
      health: () => Object.fromEntries(Array.from(health, ([name, read]) => [name, read()]))
    }
  })
