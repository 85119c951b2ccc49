/** One workload has the same outcomes on every storage. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Failure, Job, JobQueue, JobSchedule, JobStorage, Recurrence, Worker } from "dbjobq"
import * as MemoryStorage from "dbjobq/storage/MemoryStorage"
import { Deferred, Effect, Layer, Queue, Random, Ref, Schedule, Schema, Stream } from "effect"
import { everyStorage } from "./storage/everyStorage.js"

const { stop, storages } = await everyStorage()

afterAll(stop)

const retry = { times: 2, schedule: Schedule.spaced("50 millis") }

/** What it does in its first `times` attempts; then it succeeds. */
const Work = Job.make("Work", {
  payload: { n: Schema.Int, act: Schema.Literal("fail", "die", "discard", "snooze"), times: Schema.Int },
  success: Schema.Int,
  error: Schema.String,
  retry
})

/** Too slow in its first `times` attempts. */
const Slow = Job.make("Slow", {
  payload: { n: Schema.Int, times: Schema.Int },
  success: Schema.Int,
  timeout: "500 millis",
  retry
})

/** Runs until it is cancelled. */
const Endless = Job.make("Endless", { payload: { n: Schema.Int }, retry })

/** Its first attempt is another process's, which vanishes. */
const Orphan = Job.make("Orphan", { payload: { n: Schema.Int }, success: Schema.Int })

/** Fired by a schedule that skips slots while the job before is unfinished, and unfinished until the end. */
const Tick = Job.make("Tick", { payload: { n: Schema.Int }, success: Schema.Int })

const Ticks = JobSchedule.make("ticks", {
  job: Tick,
  payload: { n: 0 },
  recurrence: Recurrence.every("1 second"),
  overlap: "skip"
})

const pick = <const A>(first: A, ...rest: ReadonlyArray<A>): Effect.Effect<A> =>
  Effect.map(Random.nextIntBetween(0, rest.length + 1), (at) => [first, ...rest][at] ?? first)

/** When, how urgent, how often again, and where. */
const options = Effect.all({
  delay: pick(0, 0, 200, 700),
  priority: Random.nextIntBetween(-2, 3),
  retries: Random.nextIntBetween(0, 3),
  queue: pick("default", "mail")
})

/** The same list at each start of this test. */
const workload = Effect.all({
  work: Effect.forEach(Array.from({ length: 26 }), () =>
    Effect.all({ act: pick("fail", "die", "discard", "snooze"), times: Random.nextIntBetween(0, 3), options })
  ),
  slow: Effect.forEach([0, 1, 2], (times) =>
    Effect.map(options, (given) => ({ times, options: { ...given, retries: 1 } }))
  ),
  // the first of a key holds it until the worker is there
  keys: Effect.forEach(Array.from({ length: 8 }), () => pick("a", "b", "c"))
}).pipe(Effect.withRandom(Random.make("parity")), Effect.runSync)

interface Outcome {
  readonly name: string
  readonly n: unknown
  readonly state: JobStorage.State
  readonly attempts: number
  readonly result: string | null
  readonly failure: Failure.Kind | null
}

const kindOf = Schema.decodeSync(Schema.parseJson(Failure.Encoded))
const numberOf = Schema.decodeSync(Schema.parseJson(Schema.Struct({ n: Schema.Int })))

const outcomeOf = (row: JobStorage.JobRow): Outcome => ({
  name: row.name,
  n: numberOf(row.payload).n,
  state: row.state,
  attempts: row.attempt,
  result: row.result,
  failure: row.failure === null ? null : kindOf(row.failure).kind
})

const enqueueAll = Effect.gen(function* () {
  let n = 0
  for (const { options: given, ...does } of workload.work) {
    yield* JobQueue.enqueue(Work, { n: n++, ...does }, given)
  }
  for (const { options: given, times } of workload.slow) yield* JobQueue.enqueue(Slow, { n: n++, times }, given)
  const held: Array<boolean> = []
  for (const uniqueKey of workload.keys) {
    const payload = { n: n++, act: "fail", times: 0 } as const
    held.push((yield* JobQueue.enqueueOrGet(Work, payload, { uniqueKey, delay: 300 })).created)
  }
  yield* JobQueue.enqueueAll(Endless, [{ n: n++ }, { n: n++ }])
  for (const priority of [-1, 5]) {
    const waiting = yield* JobQueue.enqueue(Work, { n: n++, act: "fail", times: 0 }, { delay: "1 hour", priority })
    assert.strictEqual(yield* JobQueue.cancel(waiting), "cancelled")
  }
  // of these one may be tried again and one may not
  yield* JobQueue.enqueue(Orphan, { n: n++ }, { retries: 1 })
  yield* JobQueue.enqueue(Orphan, { n: n++ }, { retries: 0 })
  return held
})

/** Another process takes the orphans, and is never heard of again. */
const vanish = Effect.gen(function* () {
  const storage = yield* JobStorage.JobStorage
  const request = { names: ["Orphan"], owner: "ghost", lease: 1_000 }
  let taken = 0
  while (taken < 2) taken += (yield* storage.claim({ ...request, limit: 2 - taken })).length
})

const finished = new Set<JobStorage.State>(["completed", "failed", "cancelled"])

/** Waits until so many jobs are left. */
const left = (count: number) =>
  JobQueue.counts.pipe(
    Effect.map((all) => all.reduce((sum, one) => (finished.has(one.state) ? sum : sum + one.count), 0)),
    Effect.repeat({ until: (unfinished) => unfinished === count, schedule: Schedule.spaced("100 millis") })
  )

const outcomes = Effect.gen(function* () {
  const held = yield* enqueueAll
  yield* vanish

  const running = yield* Queue.unbounded<string>()
  const ticked = yield* Deferred.make<void>()
  const over = yield* Deferred.make<void>()
  const snoozes = yield* Ref.make<ReadonlyArray<string>>([])
  const Handlers = Layer.mergeAll(
    Work.toLayer(({ act, n, times }) =>
      Effect.gen(function* () {
        const { attempt, id } = yield* Job.CurrentJob
        if (act === "snooze") {
          const before = (yield* Ref.getAndUpdate(snoozes, (ids) => [...ids, id])).filter((one) => one === id).length
          return before < times ? yield* Job.snooze("100 millis") : n
        }
        if (attempt > times) return n
        if (act === "fail") return yield* Effect.fail("no")
        return yield* act === "die" ? Effect.dieMessage("no") : Job.discard("no")
      })
    ),
    Slow.toLayer(({ n, times }) =>
      Effect.flatMap(Job.CurrentJob, ({ attempt }) => (attempt > times ? Effect.succeed(n) : Effect.never))
    ),
    Endless.toLayer(() =>
      Effect.flatMap(Job.CurrentJob, ({ id }) => Effect.zipRight(Queue.offer(running, id), Effect.never))
    ),
    Orphan.toLayer(({ n }) => Effect.succeed(n)),
    Tick.toLayer(({ n }) => Effect.as(Effect.zipRight(Deferred.succeed(ticked, undefined), Deferred.await(over)), n))
  )
  yield* Worker.make([Work, Slow, Endless, Orphan], {
    schedules: [Ticks],
    // what the ghost's lease is for; a worker on a busy machine keeps its own
    lease: "6 seconds",
    sweepInterval: "300 millis",
    pollInterval: "100 millis",
    maxPollInterval: "300 millis"
  }).pipe(Effect.provide(Handlers))

  for (let cancelled = 0; cancelled < 2; cancelled++) {
    assert.strictEqual(yield* JobQueue.cancel(yield* Queue.take(running)), "requested")
  }
  yield* Deferred.await(ticked)
  yield* left(1)
  yield* JobQueue.removeSchedule(Ticks.id)
  yield* Deferred.succeed(over, undefined)
  yield* left(0)
  const rows = yield* Stream.runCollect(JobQueue.stream())
  return { held, jobs: Array.from(rows, outcomeOf).sort((a, b) => order(a).localeCompare(order(b))) }
}).pipe(Effect.scoped, Effect.timeout("50 seconds"))

const order = ({ n, name }: Outcome): string => `${name} ${n}`

const on = (layer: Layer.Layer<JobStorage.JobStorage, unknown>) =>
  Effect.provide(outcomes, Layer.provideMerge(JobQueue.layer, layer))

const reference = Effect.runSync(Effect.cached(on(MemoryStorage.layer)))

describe("one workload, the same outcomes", { timeout: 120_000 }, () => {
  it.live("it has every kind of end", () =>
    Effect.gen(function* () {
      const { held, jobs } = yield* reference
      const seen = new Set(jobs.map(({ failure, name, state }) => `${name} ${failure ?? state}`))
      for (const end of ["completed", "fail", "die", "discarded", "cancelled"]) assert.include([...seen], `Work ${end}`)
      for (const end of ["Slow timeout", "Slow completed", "Endless cancelled", "Orphan completed", "Orphan crashed"]) {
        assert.include([...seen], end)
      }
      assert.strictEqual(jobs.filter(({ name }) => name === "Tick").length, 1)
      assert.strictEqual(held.filter((created) => created).length, new Set(workload.keys).size)
      assert.isAtMost(jobs.length, 60)
    })
  )

  for (const { fresh, name } of storages) {
    if (name === "memory") continue
    if (fresh === undefined) {
      it.skip(`${name}: no server`, () => {})
      continue
    }
    it.live(name, () =>
      Effect.gen(function* () {
        const { layer } = yield* Effect.promise(fresh)
        assert.deepStrictEqual(yield* on(layer), yield* reference)
      })
    )
  }
})
