/** The worker beside a storage that is away, mute or contrary. */
import { assert, describe, it } from "@effect/vitest"
import { Job, JobError, JobQueue, JobStorage, Worker } from "dbjobq"
import * as MemoryStorage from "dbjobq/storage/MemoryStorage"
import {
  Cause,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  LogLevel,
  Option,
  Ref,
  Schedule,
  Schema,
  Scope,
  Stream,
  TestClock
} from "effect"

const Send = Job.make("Send", { payload: { to: Schema.String }, success: Schema.String })

/** MemoryStorage with some operations replaced, for the worker only. */
const altered = (change: (real: JobStorage.Service) => Partial<JobStorage.Service>) =>
  Effect.updateService(JobStorage.JobStorage, (real) => ({ ...real, ...change(real) }))

const services = JobQueue.layer.pipe(Layer.provideMerge(MemoryStorage.layer))
const away = new JobError.StorageError({ operation: "renew", message: "renew: away", isTransient: true })
const idle = Effect.succeed({ rescued: 0, ended: 0, removed: 0 })

describe("a worker that starts", () => {
  const counting = (claim: (real: JobStorage.Service) => JobStorage.Service["claim"]) =>
    Effect.gen(function* () {
      const begun = yield* Ref.make<ReadonlyArray<string>>([])
      const note = (name: string) => Ref.update(begun, (all) => [...all, name])
      const worker = Worker.make([Send]).pipe(
        Effect.provide(Send.toLayer(({ to }) => Effect.as(note("job"), to))),
        altered((real) => ({
          claim: claim(real),
          sweep: (request) => Effect.zipRight(note("sweep"), real.sweep(request)),
          dueSchedules: (most) => Effect.zipRight(note("schedules"), real.dueSchedules(most)),
          wakeups: Stream.unwrap(Effect.as(note("wakeups"), real.wakeups))
        }))
      )
      return { begun: Ref.get(begun), worker }
    })

  it.scoped("runs what waits already before it looks after the rest", () =>
    Effect.gen(function* () {
      yield* JobQueue.enqueue(Send, { to: "ada" })
      const open = yield* Deferred.make<void>()
      const { begun, worker } = yield* counting(
        (real) => (request) => Effect.zipRight(Deferred.await(open), real.claim(request))
      )
      const { awaitIdle } = yield* worker
      yield* TestClock.adjust("900 millis")
      assert.deepStrictEqual(yield* begun, [])
      yield* Deferred.succeed(open, undefined)
      yield* awaitIdle
      yield* TestClock.adjust("10 seconds")
      const [first, ...others] = yield* begun
      assert.strictEqual(first, "job")
      assert.includeMembers(others, ["wakeups", "schedules", "sweep"])
    }).pipe(Effect.provide(services))
  )

  it.scoped("looks after the rest also where it can claim nothing", () =>
    Effect.gen(function* () {
      const { begun, worker } = yield* counting(() => () => Effect.fail(away))
      yield* worker
      yield* TestClock.adjust("900 millis")
      assert.includeMembers([...(yield* begun)], ["wakeups", "schedules", "sweep"])
    }).pipe(Effect.provide(services))
  )

  it.scoped("looks after the rest also where its first claim is not answered", () =>
    Effect.gen(function* () {
      const open = yield* Deferred.make<void>()
      const { begun, worker } = yield* counting(
        (real) => (request) => Effect.zipRight(Deferred.await(open), real.claim(request))
      )
      yield* worker
      yield* TestClock.adjust("1 second")
      assert.includeMembers([...(yield* begun)], ["wakeups", "schedules", "sweep"])
      yield* Deferred.succeed(open, undefined)
    }).pipe(Effect.provide(services))
  )

  it.scoped("looks after the rest also while it is paused", () =>
    Effect.gen(function* () {
      const { begun, worker } = yield* counting((real) => real.claim)
      const { pause, start, stop } = yield* worker
      yield* pause
      yield* stop
      const before = (yield* begun).length
      yield* start
      yield* TestClock.adjust("10 seconds")
      assert.includeMembers((yield* begun).slice(before), ["wakeups", "schedules", "sweep"])
    }).pipe(Effect.provide(services))
  )
})

describe("a storage that does not answer", () => {
  it.scopedLive("holds no loop up: the call fails in a lease's time, is made again, and health says so meanwhile", () =>
    Effect.gen(function* () {
      const asked = yield* Ref.make(0)
      const worker = yield* Worker.make([Send], { lease: "1 second" }).pipe(
        Effect.provide(Send.toLayer(({ to }) => Effect.succeed(to))),
        altered((real) => ({
          settle: (outcomes) =>
            Effect.flatMap(
              Ref.updateAndGet(asked, (n) => n + 1),
              (n) => (n === 1 ? Effect.never : real.settle(outcomes))
            ),
          // a sweep would put the job back first
          sweep: () => idle
        }))
      )
      const id = yield* JobQueue.enqueue(Send, { to: "ada" })
      yield* Effect.repeat(worker.status, {
        until: ({ health }) => health.settler?.ok === false,
        schedule: Schedule.spaced(5)
      })
      assert.match((yield* worker.status).health.settler?.problem ?? "", /no answer within 1000 ms/)
      assert.strictEqual(yield* JobQueue.join(Send, id), "ada")
      yield* Effect.repeat(worker.status, {
        until: ({ health }) => health.settler?.ok === true,
        schedule: Schedule.spaced(5)
      })
    }).pipe(Effect.provide(services))
  )

  it.scopedLive(
    "a job whose claim began while another was held, and is answered when none is, is renewed",
    () =>
      Effect.gen(function* () {
        const first = yield* Deferred.make<void>()
        const asked = yield* Deferred.make<void>()
        const ended = yield* Deferred.make<void>()
        const attempts = yield* Ref.make(0)
        const worker = yield* Worker.make([Send], { lease: "4500 millis", concurrency: 2 }).pipe(
          Effect.provide(
            Send.toLayer(({ to }) =>
              to === "first"
                ? Effect.as(Deferred.await(ended), to)
                : Ref.update(attempts, (n) => n + 1).pipe(Effect.zipRight(Effect.sleep("5 seconds")), Effect.as(to))
            )
          ),
          altered((real) => ({
            claim: (request) =>
              Effect.flatMap(Deferred.isDone(first), (begun) =>
                begun
                  ? // until nothing has been held for longer than a third of a lease
                    Effect.zipRight(
                      Deferred.succeed(asked, undefined),
                      Effect.zipRight(
                        Effect.zipRight(Deferred.await(ended), Effect.sleep("2 seconds")),
                        real.claim(request)
                      )
                    )
                  : Effect.tap(real.claim(request), (rows) =>
                      rows.length > 0 ? Deferred.succeed(first, undefined) : Effect.void
                    )
              )
          }))
        )
        yield* JobQueue.enqueue(Send, { to: "first" })
        yield* Deferred.await(first)
        const id = yield* JobQueue.enqueue(Send, { to: "second" })
        yield* Deferred.await(asked)
        yield* Deferred.succeed(ended, undefined)
        assert.strictEqual(yield* JobQueue.join(Send, id), "second")
        assert.strictEqual(yield* Ref.get(attempts), 1)
        assert.isTrue((yield* worker.status).health.renewer?.ok)
      }).pipe(Effect.provide(services), Effect.timeout("20 seconds")),
    25_000
  )

  it.live("a claim that is answered while the worker stops is handed back: the job was never begun", () =>
    Effect.gen(function* () {
      const claimed = yield* Deferred.make<void>()
      const scope = yield* Scope.make()
      const id = yield* JobQueue.enqueue(Send, { to: "ada" })
      yield* Worker.make([Send]).pipe(
        Effect.provide(Send.toLayer(({ to }) => Effect.succeed(to))),
        altered((real) => ({
          claim: (request) =>
            Effect.tap(real.claim(request), (rows) =>
              rows.length === 0
                ? Effect.void
                : Effect.zipRight(Deferred.succeed(claimed, undefined), Effect.sleep("200 millis"))
            )
        })),
        Scope.extend(scope)
      )
      yield* Deferred.await(claimed)
      yield* Scope.close(scope, Exit.void)
      const { attempt, crashes, state } = yield* JobQueue.get(id)
      assert.deepStrictEqual({ attempt, crashes, state }, { attempt: 0, crashes: 0, state: "pending" })
    }).pipe(Effect.provide(services))
  )

  it.effect("a claim that is answered when the worker has long given it up is handed back", () =>
    Effect.gen(function* () {
      const claimed = yield* Deferred.make<void>()
      const answer = yield* Deferred.make<void>()
      const scope = yield* Scope.make()
      const id = yield* JobQueue.enqueue(Send, { to: "ada" })
      yield* Worker.make([Send]).pipe(
        Effect.provide(Send.toLayer(({ to }) => Effect.succeed(to))),
        altered((real) => ({
          claim: (request) =>
            Effect.tap(real.claim(request), (rows) =>
              rows.length === 0
                ? Effect.void
                : Effect.zipRight(Deferred.succeed(claimed, undefined), Deferred.await(answer))
            )
        })),
        Scope.extend(scope)
      )
      yield* Deferred.await(claimed)
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("20 seconds")
      yield* Deferred.succeed(answer, undefined)
      yield* Fiber.join(closing)
      const { attempt, crashes, state } = yield* JobQueue.get(id)
      assert.deepStrictEqual({ attempt, crashes, state }, { attempt: 0, crashes: 0, state: "pending" })
    }).pipe(Effect.provide(services))
  )

  it.scopedLive("a claim that the storage gets to after its lease's time is handed back: no crash is counted", () =>
    Effect.gen(function* () {
      const claims = yield* Ref.make(0)
      const late = yield* Ref.make(false)
      const id = yield* JobQueue.enqueue(Send, { to: "ada" })
      const worker = yield* Worker.make([Send], { lease: "1 second", sweepInterval: "50 millis" }).pipe(
        Effect.provide(Send.toLayer(({ to }) => Effect.succeed(to))),
        altered((real) => {
          // the first waits in the storage's queue, and nobody gets the job before it does
          const first = (request: JobStorage.ClaimRequest) =>
            Effect.zipLeft(Effect.delay(real.claim(request), "1200 millis"), Ref.set(late, true))
          return {
            claim: (request) =>
              Effect.flatMap(
                Ref.getAndUpdate(claims, (n) => n + 1),
                (n) =>
                  n === 0
                    ? Effect.uninterruptible(first(request))
                    : Effect.flatMap(Ref.get(late), (over) => (over ? real.claim(request) : Effect.succeed([])))
              )
          }
        })
      )
      yield* Effect.repeat(worker.status, { until: ({ settled }) => settled === 1, schedule: Schedule.spaced(10) })
      const { attempt, crashes, state } = yield* JobQueue.get(id)
      assert.deepStrictEqual({ attempt, crashes, state }, { attempt: 1, crashes: 0, state: "completed" })
    }).pipe(Effect.provide(services))
  )

  it.scoped("a refused outcome is offered again, however many others are refused meanwhile", () =>
    Effect.gen(function* () {
      const poison = yield* Ref.make<ReadonlySet<string>>(new Set())
      yield* Worker.make([Send]).pipe(
        Effect.provide(Send.toLayer(({ to }) => Effect.succeed(to))),
        altered((real) => ({
          settle: (outcomes) =>
            Effect.flatMap(Ref.get(poison), (ids) =>
              outcomes.some(({ id }) => ids.has(id))
                ? new JobError.StorageError({ operation: "settle", message: "settle: no", isTransient: false })
                : real.settle(outcomes)
            )
        }))
      )
      const ids = Array.from({ length: 12 }, (_, i) => `poison-${i}`)
      yield* Ref.set(poison, new Set(ids))
      for (const [i, id] of ids.entries()) {
        yield* JobQueue.enqueue(Send, { to: "ada" }, { id })
        yield* TestClock.adjust("500 millis")
        if (i === 2) yield* Ref.update(poison, (all) => new Set([...all].filter((one) => one !== ids[0])))
      }
      const { attempt, state } = yield* JobQueue.get(ids[0] ?? "")
      assert.deepStrictEqual({ attempt, state }, { attempt: 1, state: "completed" })
      // the worker stops once it holds nothing
      yield* Ref.set(poison, new Set())
      yield* TestClock.adjust("2 seconds")
    }).pipe(Effect.provide(services))
  )

  it.scoped("no attempt outlives its lease: it is interrupted when the lease ends, not when the renewal gives up", () =>
    Effect.gen(function* () {
      const ended = yield* Deferred.make<void>()
      yield* Worker.make([Send], { lease: "30 seconds" }).pipe(
        Effect.provide(Send.toLayer(() => Effect.onInterrupt(Effect.never, () => Deferred.succeed(ended, undefined)))),
        altered(() => ({ renew: () => away, sweep: () => idle }))
      )
      yield* JobQueue.enqueue(Send, { to: "ada" })
      yield* TestClock.adjust("29999 millis")
      assert.isFalse(yield* Deferred.isDone(ended))
      yield* TestClock.adjust("1 millis")
      assert.isTrue(yield* Deferred.isDone(ended))
    }).pipe(Effect.provide(services))
  )

  it.scoped("a job given up as lost is not renewed, though the storage is back and its handler still runs", () =>
    Effect.gen(function* () {
      const renewed = yield* Ref.make<ReadonlyArray<string>>([])
      yield* Worker.make([Send], { lease: "30 seconds", shutdownTimeout: 0 }).pipe(
        Effect.provide(Send.toLayer(({ to }) => Effect.as(Effect.uninterruptible(Effect.sleep("2 minutes")), to))),
        altered((real) => ({
          renew: (holds, lease) =>
            Effect.clockWith((clock) =>
              clock.unsafeCurrentTimeMillis() < 31_000
                ? away
                : Effect.zipRight(
                    Ref.update(renewed, (all) => [...all, ...holds.map(({ id }) => id)]),
                    real.renew(holds, lease)
                  )
            ),
          sweep: () => idle
        }))
      )
      yield* JobQueue.enqueue(Send, { to: "ada" })
      yield* TestClock.adjust("90 seconds")
      assert.deepStrictEqual(yield* Ref.get(renewed), [])
      yield* TestClock.adjust("1 minute")
    }).pipe(Effect.provide(services))
  )

  it.scoped("a renewal that failed is tried again well before the lease ends", () =>
    Effect.gen(function* () {
      const until = yield* Ref.make(0)
      const worker = yield* Worker.make([Send], { lease: "30 seconds" }).pipe(
        Effect.provide(Send.toLayer(({ to }) => Effect.as(Effect.sleep("5 minutes"), to))),
        altered((real) => ({
          // away from the first renewal on, until shortly before the lease ends
          renew: (holds, lease) =>
            Effect.clockWith((clock) =>
              Effect.flatMap(Ref.get(until), (back) =>
                clock.unsafeCurrentTimeMillis() < back ? away : real.renew(holds, lease)
              )
            )
        }))
      )
      yield* Ref.set(until, 24_000)
      const id = yield* JobQueue.enqueue(Send, { to: "ada" })
      yield* TestClock.adjust("15 seconds")
      assert.isFalse((yield* worker.status).health.renewer?.ok)
      yield* TestClock.adjust("5 minutes")
      assert.isTrue((yield* worker.status).health.renewer?.ok)
      const { attempt, crashes, state } = yield* JobQueue.get(id)
      assert.deepStrictEqual({ attempt, crashes, state }, { attempt: 1, crashes: 0, state: "completed" })
    }).pipe(Effect.provide(services))
  )

  it.scoped("wake-ups that broke off count as well again once one is heard", () =>
    Effect.gen(function* () {
      const tries = yield* Ref.make(0)
      const worker = yield* Worker.make([Send]).pipe(
        Effect.provide(Send.toLayer(({ to }) => Effect.succeed(to))),
        altered(() => ({
          wakeups: Stream.unwrap(
            Effect.map(
              Ref.updateAndGet(tries, (n) => n + 1),
              (n) =>
                n === 1
                  ? Stream.fail(away)
                  : Stream.concat(Stream.fromEffect(Effect.as(Effect.sleep("1 minute"), "jobs" as const)), Stream.never)
            )
          )
        }))
      )
      yield* TestClock.adjust("10 seconds")
      assert.isFalse((yield* worker.status).health.listener?.ok)
      yield* TestClock.adjust("1 minute")
      assert.isTrue((yield* worker.status).health.listener?.ok)
    }).pipe(Effect.provide(services))
  )
})

describe("a storage that fails", () => {
  it.scoped("is told of once, also with debug logs on: the fiber of the call does not log what the driver said", () =>
    Effect.gen(function* () {
      const told = yield* Ref.make<ReadonlyArray<string>>([])
      const logger = Logger.make<unknown, void>(({ cause, message }) => {
        Effect.runSync(Ref.update(told, (all) => [...all, `${String(message)} ${Cause.pretty(cause)}`]))
      })
      const cause = new Error("Duplicate entry 'secret'")
      const broken = new JobError.StorageError({
        operation: "claim",
        message: "claim: refused",
        isTransient: false,
        cause
      })
      yield* Effect.gen(function* () {
        yield* Worker.make([Send]).pipe(
          Effect.provide(Send.toLayer(({ to }) => Effect.succeed(to))),
          altered(() => ({ claim: () => broken }))
        )
        yield* TestClock.adjust("1 second")
        const lines = yield* Ref.get(told)
        assert.lengthOf(lines, 1, lines.join("\n"))
        assert.include(lines[0], "claim: refused")
        assert.notInclude(lines[0], "secret")
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)), Logger.withMinimumLogLevel(LogLevel.Debug))
    }).pipe(Effect.provide(services))
  )
})

describe("the end of a worker", () => {
  it.scoped("shows what it drains while it stops", () =>
    Effect.gen(function* () {
      const worker = yield* Worker.make([Send]).pipe(
        Effect.provide(Send.toLayer(({ to }) => Effect.as(Effect.sleep("10 seconds"), to)))
      )
      const id = yield* JobQueue.enqueue(Send, { to: "ada" })
      yield* TestClock.adjust("1 second")
      const stopping = yield* Effect.fork(worker.stop)
      yield* TestClock.adjust("1 second")
      const { running, state } = yield* worker.status
      assert.deepStrictEqual({ state, ids: running.map((job) => job.id) }, { state: "stopping", ids: [id] })
      yield* TestClock.adjust("8 seconds")
      yield* Fiber.join(stopping)
      assert.strictEqual((yield* worker.status).state, "stopped")
    }).pipe(Effect.provide(services))
  )

  it.effect("a worker whose scope is closed says stopped, is idle, and does not start again", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const worker = yield* Worker.make([Send]).pipe(
        Effect.provide(Send.toLayer(({ to }) => Effect.succeed(to))),
        Scope.extend(scope)
      )
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* worker.status).state, "stopped")
      yield* worker.awaitIdle
      yield* worker.start
      assert.strictEqual((yield* worker.status).state, "stopped")
      yield* worker.awaitIdle
    }).pipe(Effect.provide(services))
  )
})

describe("a retry rule that throws", () => {
  const Throwing = Job.make("Throwing", {
    error: Schema.String,
    retry: {
      times: 1,
      while: () => {
        throw new Error("a mistake")
      }
    }
  })

  it.scoped("costs the job no attempt: the default backoff stands in, and the log says so", () =>
    Effect.gen(function* () {
      const told = yield* Ref.make<ReadonlyArray<string>>([])
      const logger = Logger.make<unknown, void>(({ annotations, message }) => {
        Effect.runSync(Ref.update(told, (all) => [...all, `${String(message)} ${JSON.stringify([...annotations])}`]))
      })
      yield* Effect.gen(function* () {
        const worker = yield* Worker.make([Throwing]).pipe(Effect.provide(Throwing.toLayer(() => Effect.fail("no"))))
        const id = yield* JobQueue.enqueue(Throwing)
        yield* worker.awaitIdle
        assert.strictEqual((yield* JobQueue.get(id)).state, "scheduled")
        yield* TestClock.adjust("1 second")
        yield* worker.awaitIdle
        assert.deepStrictEqual(yield* JobQueue.poll(Throwing, id), Option.some(Exit.fail("no")))
        assert.strictEqual((yield* JobQueue.get(id)).attempt, 2)
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      const line = (yield* Ref.get(told)).find((message) => message.includes("retry rule threw")) ?? ""
      assert.include(line, '["job","Throwing"]')
    }).pipe(Effect.provide(services))
  )
})
