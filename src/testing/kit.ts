/** What the suites of the storage contract share. */
import { assert } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { Scope } from "effect/Scope"
import * as Stream from "effect/Stream"
import type { JobRow, NewJob, Outcome, Service, State, SweepRequest, Wakeup } from "../JobStorage.js"
import { JobStorage } from "../JobStorage.js"

export const hour = 3_600_000

let counter = 0

/** Ascending in the order of making, as the ids of `JobQueue` are. */
export const nextId = (): string => {
  const at = Date.now().toString(16).padStart(12, "0")
  const count = (counter++).toString(16).padStart(8, "0")
  return `${at}-${count}-${crypto.randomUUID().slice(0, 8)}`
}

export const idsOf = (rows: ReadonlyArray<{ readonly id: string }>) => rows.map((row) => row.id)

export const kit = Effect.map(JobStorage, (storage) => {
  const unique = crypto.randomUUID().slice(0, 13)
  const name = `n-${unique}`
  const queue = `q-${unique}`
  const job = (over: Partial<NewJob> = {}): NewJob => ({
    id: nextId(),
    name,
    queue,
    priority: 0,
    payload: "{}",
    due: { delay: 0 },
    maxAttempts: 10,
    uniqueKey: null,
    tags: [],
    traceparent: null,
    scheduleId: null,
    slot: null,
    ...over
  })
  const jobs = (count: number, over: Partial<NewJob> = {}) => Array.from({ length: count }, () => job(over))
  const insert = (...rows: ReadonlyArray<NewJob>) => storage.insert(rows)
  const claim = (limit: number, over: Partial<Parameters<typeof storage.claim>[0]> = {}) =>
    storage.claim({ names: [name], limit, owner: "w", lease: hour, ...over })
  const row = (id: string): Effect.Effect<JobRow> =>
    Effect.flatMap(Effect.orDie(storage.get([id])), ([found]) =>
      found === undefined ? Effect.dieMessage(`no row ${id}`) : Effect.succeed(found)
    )
  const stateOf = (id: string) => Effect.map(storage.get([id]), ([found]) => found?.state)
  const take = (over: Partial<NewJob> = {}, lease = hour) =>
    Effect.gen(function* () {
      const made = job(over)
      yield* insert(made)
      const rows = yield* claim(1, { lease })
      const [held] = rows
      assert(held !== undefined && held.id === made.id, "the one job is claimed")
      return yield* row(held.id)
    })
  const settle = (outcome: Outcome) => Effect.map(storage.settle([outcome]), ([answer]) => answer)
  const sweep = (over: Partial<SweepRequest> = {}) =>
    storage.sweep({ limit: 1000, crashLimit: 100, crashFailure: `{"kind":"crash"}`, retention: {}, ...over })
  const sweepUntil = (id: string, over: Partial<SweepRequest> = {}) =>
    until(Effect.zipRight(sweep(over), row(id)), (found) => found.state !== "running")
  /** A row of its own in this state. */
  const make = (state: State, over: Partial<NewJob> = {}): Effect.Effect<string> =>
    Effect.orDie(
      Effect.gen(function* () {
        if (state === "scheduled" || state === "pending") {
          const made = job({ due: { delay: state === "scheduled" ? hour : 0 }, ...over })
          yield* insert(made)
          return made.id
        }
        const held = yield* take(over)
        if (state === "completed") yield* settle({ id: held.id, token: held.token, to: "complete", result: "1" })
        if (state === "failed") yield* settle({ id: held.id, token: held.token, to: "fail", failure: "{}" })
        if (state === "cancelled") yield* settle({ id: held.id, token: held.token, to: "cancel" })
        return held.id
      })
    )
  return { storage, name, queue, job, jobs, insert, claim, row, stateOf, take, settle, sweep, sweepUntil, make }
})

export const until = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  done: (a: A) => boolean,
  tries = 500
): Effect.Effect<A, E, R> =>
  Effect.flatMap(effect, (a) =>
    done(a)
      ? Effect.succeed(a)
      : tries <= 0
        ? Effect.dieMessage("never came to pass")
        : Effect.zipRight(Effect.sleep(10), until(effect, done, tries - 1))
  )

/** Subscribed once it returns; then each call waits for one more wake-up of the kind. */
export const listening = (
  storage: Service,
  announce: Effect.Effect<unknown, unknown>
): Effect.Effect<(wakeup: Wakeup) => Effect.Effect<void>, never, Scope> =>
  Effect.gen(function* () {
    const queues = { jobs: yield* Queue.unbounded<Wakeup>(), schedules: yield* Queue.unbounded<Wakeup>() }
    yield* Effect.forkScoped(Stream.runForEach(storage.wakeups, (wakeup) => Queue.offer(queues[wakeup], wakeup)))
    // the subscription may come late, so there is news until some is heard
    const news = Effect.zipRight(Effect.orDie(announce), Effect.delay(Queue.takeAll(queues.jobs), 20))
    yield* until(news, Chunk.isNonEmpty)
    yield* Effect.sleep(100)
    yield* Queue.takeAll(queues.jobs)
    yield* Queue.takeAll(queues.schedules)
    return (wakeup) =>
      Queue.take(queues[wakeup]).pipe(
        Effect.timeoutFail({ duration: 5_000, onTimeout: () => new Error(`no wake-up for ${wakeup}`) }),
        Effect.orDie,
        Effect.asVoid
      )
  })
