import { assert, describe, it } from "@effect/vitest"
import { Job, JobError, JobQueue, JobStorage, Worker } from "dbjobq"
import * as MemoryStorage from "dbjobq/storage/MemoryStorage"
import {
  Cause,
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  LogLevel,
  Metric,
  Option,
  Ref,
  Schedule,
  Schema,
  TestClock,
  Tracer
} from "effect"

class MailboxFull extends Schema.TaggedError<MailboxFull>()("MailboxFull", { temporary: Schema.Boolean }) {}

const Send = Job.make("Send", {
  payload: { to: Schema.String },
  success: Schema.String,
  error: MailboxFull,
  retry: { times: 2, schedule: Schedule.spaced("10 seconds"), while: (error) => error.temporary }
})

const services = JobQueue.layer.pipe(Layer.provideMerge(MemoryStorage.layer))

const row = (id: string) => JobQueue.get(id)

/** A logger that keeps what its lines are annotated with. */
const notingAnnotations = Effect.map(Ref.make<ReadonlyArray<Record<string, unknown>>>([]), (told) => ({
  told,
  logger: Logger.make<unknown, void>(({ annotations }) => {
    Effect.runSync(Ref.update(told, (all) => [...all, Object.fromEntries(annotations)]))
  })
}))

describe("Worker", () => {
  it.scoped("runs a job, decodes its payload, and join gives the typed success", () =>
    Effect.gen(function* () {
      const live = Send.toLayer(({ to }) => Effect.succeed(`sent to ${to}`))
      const worker = yield* Worker.make([Send]).pipe(Effect.provide(live))
      const id = yield* JobQueue.enqueue(Send, { to: "ada" })
      yield* worker.awaitIdle
      assert.strictEqual(yield* JobQueue.join(Send, id), "sent to ada")
    }).pipe(Effect.provide(services))
  )

  it.scoped("retries a typed failure by the job's schedule and gives it up after `times`", () =>
    Effect.gen(function* () {
      const attempts = yield* Ref.make<ReadonlyArray<number>>([])
      const live = Send.toLayer(() =>
        Effect.gen(function* () {
          const { attempt } = yield* Job.CurrentJob
          yield* Ref.update(attempts, (all) => [...all, attempt])
          return yield* new MailboxFull({ temporary: true })
        })
      )
      const worker = yield* Worker.make([Send]).pipe(Effect.provide(live))
      const id = yield* JobQueue.enqueue(Send, { to: "ada" })
      yield* worker.awaitIdle
      assert.deepStrictEqual(yield* Ref.get(attempts), [1])
      assert.strictEqual((yield* row(id)).state, "scheduled")
      yield* TestClock.adjust("9 seconds")
      yield* worker.awaitIdle
      assert.deepStrictEqual(yield* Ref.get(attempts), [1])
      yield* TestClock.adjust("1 seconds")
      yield* worker.awaitIdle
      yield* TestClock.adjust("10 seconds")
      yield* worker.awaitIdle
      assert.deepStrictEqual(yield* Ref.get(attempts), [1, 2, 3])
      const end = yield* JobQueue.poll(Send, id)
      assert.deepStrictEqual(end, Option.some(Exit.fail(new MailboxFull({ temporary: true }))))
    }).pipe(Effect.provide(services))
  )

  it.scoped("does not retry what `while` refuses, nor a discarded job", () =>
    Effect.gen(function* () {
      const Discarded = Job.make("Discarded")
      const live = Layer.merge(
        Send.toLayer(() => new MailboxFull({ temporary: false })),
        Discarded.toLayer(() => Job.discard("no longer wanted").pipe(Effect.catchAll(() => Effect.void)))
      )
      const worker = yield* Worker.make([Send, Discarded]).pipe(Effect.provide(live))
      const refused = yield* JobQueue.enqueue(Send, { to: "ada" })
      const discarded = yield* JobQueue.enqueue(Discarded)
      yield* worker.awaitIdle
      assert.strictEqual((yield* row(refused)).state, "failed")
      assert.strictEqual((yield* row(refused)).attempt, 1)
      const error = yield* Effect.flip(JobQueue.join(Discarded, discarded))
      assert.strictEqual(error._tag, "JobFailed")
      if (error._tag === "JobFailed") assert.strictEqual(error.failure.kind, "discarded")
    }).pipe(Effect.provide(services))
  )

  it.scoped("snooze gives the attempt back", () =>
    Effect.gen(function* () {
      const first = yield* Ref.make(true)
      const live = Send.toLayer(() =>
        Effect.flatMap(Ref.getAndSet(first, false), (now) => (now ? Job.snooze("1 minute") : Effect.succeed("done")))
      )
      const worker = yield* Worker.make([Send]).pipe(Effect.provide(live))
      const id = yield* JobQueue.enqueue(Send, { to: "ada" })
      yield* worker.awaitIdle
      assert.strictEqual((yield* row(id)).attempt, 0)
      yield* TestClock.adjust("1 minute")
      yield* worker.awaitIdle
      assert.strictEqual((yield* row(id)).state, "completed")
      assert.strictEqual((yield* row(id)).attempt, 1)
    }).pipe(Effect.provide(services))
  )

  it.scoped("a delayed job runs when due and not before", () =>
    Effect.gen(function* () {
      const live = Send.toLayer(() => Effect.succeed("done"))
      const worker = yield* Worker.make([Send]).pipe(Effect.provide(live))
      const id = yield* JobQueue.enqueue(Send, { to: "ada" }, { delay: "1 hour" })
      yield* worker.awaitIdle
      yield* TestClock.adjust("59 minutes")
      yield* worker.awaitIdle
      assert.strictEqual((yield* row(id)).state, "scheduled")
      yield* TestClock.adjust("1 minute")
      yield* worker.awaitIdle
      assert.strictEqual((yield* row(id)).state, "completed")
    }).pipe(Effect.provide(services))
  )

  it.scoped("cancel of a running job interrupts its fiber, finalizers run, and the record says cancelled", () =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>()
      const cleaned = yield* Deferred.make<void>()
      const live = Send.toLayer(() =>
        Effect.zipRight(
          Effect.addFinalizer(() => Deferred.succeed(cleaned, undefined)),
          Effect.zipRight(Deferred.succeed(started, undefined), Effect.never)
        )
      )
      yield* Worker.make([Send]).pipe(Effect.provide(live))
      const id = yield* JobQueue.enqueue(Send, { to: "ada" })
      yield* Effect.fork(TestClock.adjust("10 seconds"))
      yield* Deferred.await(started)
      assert.strictEqual(yield* JobQueue.cancel(id), "requested")
      const joined = yield* Effect.fork(Effect.flip(JobQueue.join(Send, id)))
      yield* TestClock.adjust("20 seconds")
      yield* Deferred.await(cleaned)
      assert.strictEqual((yield* Fiber.join(joined))._tag, "JobCancelled")
      assert.strictEqual(yield* JobQueue.cancel(id), "cancelled")
    }).pipe(Effect.provide(services))
  )

  it.scoped("a handler's scope closes with its exit, however the handler came by it, and stays closed", () =>
    Effect.gen(function* () {
      class Prefix extends Context.Tag("Prefix")<Prefix, string>() {}
      const closed = yield* Ref.make<ReadonlyArray<string>>([])
      const later = yield* Deferred.make<void>()
      const closing = (name: string) =>
        Effect.addFinalizer((exit) => Ref.update(closed, (all) => [...all, `${name} ${exit._tag}`]))
      const Scoped = Job.make("Scoped", { payload: { way: Schema.String }, error: Schema.String, retry: { times: 0 } })
      const live = Scoped.toLayer(({ way }) => {
        switch (way) {
          case "provided":
            return Effect.flatMap(Prefix, closing).pipe(Effect.provideService(Prefix, way))
          case "failed":
            return Effect.zipRight(closing(way), Effect.fail("no"))
          case "afterwards":
            return Effect.asVoid(Effect.forkDaemon(Effect.zipRight(Deferred.await(later), closing(way))))
          case "broken":
            return Effect.asVoid(Effect.addFinalizer(() => Effect.die("a finalizer that throws")))
          default:
            return closing(way)
        }
      })
      const worker = yield* Worker.make([Scoped]).pipe(Effect.provide(live))
      const ids = yield* JobQueue.enqueueAll(
        Scoped,
        ["plain", "provided", "failed", "afterwards", "broken"].map((way) => ({ way }))
      )
      yield* worker.awaitIdle
      assert.deepStrictEqual([...(yield* Ref.get(closed))].sort(), [
        "failed Failure",
        "plain Success",
        "provided Success"
      ])
      yield* Deferred.succeed(later, undefined)
      yield* Effect.yieldNow()
      assert.include(yield* Ref.get(closed), "afterwards Success")
      const states = yield* Effect.forEach(ids, (id) => Effect.map(row(id), ({ state }) => state))
      assert.deepStrictEqual(states, ["completed", "completed", "failed", "completed", "failed"])
    }).pipe(Effect.provide(services))
  )

  it.scoped("a handler's finalizers run while the fibers it forked are alive, and within its timeout", () =>
    Effect.gen(function* () {
      const written = yield* Ref.make<ReadonlyArray<number>>([])
      const Flush = Job.make("Flush")
      const Stuck = Job.make("Stuck", { timeout: "1 second", retry: { times: 0 } })
      const flush = Flush.toLayer(() =>
        Effect.gen(function* () {
          const writer = yield* Effect.fork(Effect.delay(Ref.set(written, [1, 2, 3]), "1 second"))
          yield* Effect.addFinalizer(() => Fiber.await(writer))
        })
      )
      const stuck = Stuck.toLayer(() => Effect.asVoid(Effect.addFinalizer(() => Effect.sleep("5 seconds"))))
      yield* Worker.make([Flush, Stuck]).pipe(Effect.provide(Layer.merge(flush, stuck)))
      const flushed = yield* JobQueue.enqueue(Flush)
      const late = yield* JobQueue.enqueue(Stuck)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* row(flushed)).state, "completed")
      assert.deepStrictEqual(yield* Ref.get(written), [1, 2, 3])
      const { failure, state } = yield* row(late)
      assert.strictEqual(state, "failed")
      assert.include(failure ?? "", "timeout")
    }).pipe(Effect.provide(services))
  )

  it.scoped("a fiber that a handler forked ends with it, whatever the worker's own forks do", () =>
    Effect.gen(function* () {
      const ended = yield* Deferred.make<void>()
      const Forking = Job.make("Forking")
      const live = Forking.toLayer(() =>
        Effect.zipRight(
          Effect.fork(Effect.onInterrupt(Effect.never, () => Deferred.succeed(ended, undefined))),
          Effect.yieldNow()
        )
      )
      const worker = yield* Worker.make([Forking]).pipe(Effect.provide(live), Effect.daemonChildren)
      yield* JobQueue.enqueue(Forking)
      yield* worker.awaitIdle
      assert.isTrue(yield* Deferred.isDone(ended))
    }).pipe(Effect.provide(services))
  )

  it.scoped("a job due later is seen while one lane has claimed and another is full", () =>
    Effect.gen(function* () {
      const Slow = Job.make("Slow", { queue: "slow" })
      const Later = Job.make("Later")
      const live = Layer.merge(
        Slow.toLayer(() => Effect.never),
        Later.toLayer(() => Effect.void)
      )
      const options = { queues: { slow: { concurrency: 1 } }, shutdownTimeout: 0 }
      yield* Worker.make([Slow, Later], options).pipe(Effect.provide(live))
      yield* JobQueue.enqueueAll(Slow, [{}, {}, {}])
      yield* TestClock.adjust("1 second")
      const [, later = ""] = yield* JobQueue.enqueueAll(Later, [{}, {}], (_, i) =>
        i === 0 ? {} : { delay: "300 millis" }
      )
      yield* TestClock.adjust("400 millis")
      assert.strictEqual((yield* row(later)).state, "completed")
    }).pipe(Effect.provide(services))
  )

  it.scoped("a handler logs with the worker's annotations and the job's own", () =>
    Effect.gen(function* () {
      const { logger, told } = yield* notingAnnotations
      yield* Effect.gen(function* () {
        const worker = yield* Worker.make([Send]).pipe(
          Effect.provide(Send.toLayer(() => Effect.as(Effect.log("sent"), "done"))),
          Effect.annotateLogs("service", "mailer")
        )
        const ids = yield* JobQueue.enqueueAll(Send, [{ to: "ada" }, { to: "bob" }])
        yield* worker.awaitIdle
        assert.deepStrictEqual(
          yield* Ref.get(told),
          ids.map((jobId) => ({ service: "mailer", job: "Send", jobId, attempt: 1 }))
        )
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
    }).pipe(Effect.provide(services))
  )

  it.scoped("so does what a handler forks, and what it says itself goes before what the worker says", () =>
    Effect.gen(function* () {
      const { logger, told } = yield* notingAnnotations
      yield* Effect.gen(function* () {
        const said = Effect.zipRight(
          Effect.log("here"),
          Effect.annotateLogs(Effect.log("there"), { job: "mine", to: "ada" })
        )
        const worker = yield* Worker.make([Send]).pipe(
          Effect.provide(Send.toLayer(() => Effect.as(Effect.flatMap(Effect.fork(said), Fiber.join), "done")))
        )
        const jobId: string = yield* JobQueue.enqueue(Send, { to: "ada" })
        yield* worker.awaitIdle
        assert.deepStrictEqual(yield* Ref.get(told), [
          { job: "Send", jobId, attempt: 1 },
          { job: "mine", jobId, attempt: 1, to: "ada" }
        ])
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
    }).pipe(Effect.provide(services))
  )

  it.scoped("a handler's own logger takes the place of the worker's, and is told of the job too", () =>
    Effect.gen(function* () {
      const told = yield* Ref.make<ReadonlyArray<string>>([])
      const logger = (name: string) =>
        Logger.make<unknown, void>(({ annotations }) => {
          Effect.runSync(
            Ref.update(told, (all) => [...all, `${name} ${JSON.stringify(Object.fromEntries(annotations))}`])
          )
        })
      const outer = logger("outer")
      yield* Effect.gen(function* () {
        const own = Effect.provide(Effect.log("sent"), Logger.replace(outer, logger("own")))
        const worker = yield* Worker.make([Send]).pipe(Effect.provide(Send.toLayer(() => Effect.as(own, "done"))))
        yield* JobQueue.enqueue(Send, { to: "ada" })
        yield* worker.awaitIdle
        const [line = "", ...others] = yield* Ref.get(told)
        assert.deepStrictEqual(others, [])
        assert.match(line, /^own .*"job":"Send"/)
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, outer)))
    }).pipe(Effect.provide(services))
  )

  it.scoped("a timeout interrupts the handler and is recorded as such", () =>
    Effect.gen(function* () {
      const Slow = Job.make("Slow", { timeout: "5 seconds", retry: { times: 0 } })
      yield* Worker.make([Slow]).pipe(Effect.provide(Slow.toLayer(() => Effect.never)))
      const id = yield* JobQueue.enqueue(Slow)
      const joined = yield* Effect.fork(Effect.flip(JobQueue.join(Slow, id)))
      yield* TestClock.adjust("20 seconds")
      const error = yield* Fiber.join(joined)
      assert.strictEqual(error._tag === "JobFailed" ? error.failure.kind : error._tag, "timeout")
    }).pipe(Effect.provide(services))
  )

  it.scoped("stop hands a running job back without using up its attempt", () =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>()
      const live = Send.toLayer(() => Effect.zipRight(Deferred.succeed(started, undefined), Effect.never))
      const worker = yield* Worker.make([Send], { shutdownTimeout: "1 second" }).pipe(Effect.provide(live))
      const id = yield* JobQueue.enqueue(Send, { to: "ada" })
      yield* TestClock.adjust("10 seconds")
      yield* Deferred.await(started)
      const stopping = yield* Effect.fork(worker.stop)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(stopping)
      assert.strictEqual((yield* worker.status).state, "stopped")
      const { attempt, owner, state } = yield* row(id)
      assert.deepStrictEqual({ attempt, owner, state }, { attempt: 0, owner: null, state: "pending" })
    }).pipe(Effect.provide(services))
  )

  it.scoped(
    "never runs more at once than the worker's and the queue's concurrency, and runs higher priority first",
    () =>
      Effect.gen(function* () {
        const now = yield* Ref.make({ all: 0, mail: 0, maxAll: 0, maxMail: 0 })
        const order = yield* Ref.make<ReadonlyArray<number>>([])
        const Work = Job.make("Work", { payload: { n: Schema.Number } })
        const live = Work.toLayer(({ n }) =>
          Effect.gen(function* () {
            const mail = (yield* Job.CurrentJob).queue === "mail" ? 1 : 0
            yield* Ref.update(order, (all) => [...all, n])
            yield* Ref.update(now, (s) => ({
              all: s.all + 1,
              mail: s.mail + mail,
              maxAll: Math.max(s.maxAll, s.all + 1),
              maxMail: Math.max(s.maxMail, s.mail + mail)
            }))
            yield* Effect.sleep("1 second")
            yield* Ref.update(now, (s) => ({ ...s, all: s.all - 1, mail: s.mail - mail }))
          })
        )
        yield* JobQueue.enqueueAll(
          Work,
          Array.from({ length: 30 }, (_, n) => ({ n })),
          ({ n }) => ({
            queue: n % 2 === 0 ? "mail" : "default",
            priority: n
          })
        )
        yield* Worker.make([Work], { concurrency: 4, queues: { mail: { concurrency: 2 } } }).pipe(Effect.provide(live))
        yield* TestClock.adjust("2 minutes")
        const { maxAll, maxMail } = yield* Ref.get(now)
        assert.deepStrictEqual({ maxAll, maxMail }, { maxAll: 4, maxMail: 2 })
        const ran = yield* Ref.get(order)
        assert.strictEqual(ran.length, 30)
        assert.strictEqual(new Set(ran).size, 30)
        assert.deepStrictEqual(
          [...ran.slice(0, 4)].sort((a, b) => b - a),
          [29, 28, 27, 26]
        )
      }).pipe(Effect.provide(services))
  )

  it.scoped("a hostile throw ends as an ordinary failure and its neighbours run", () =>
    Effect.gen(function* () {
      const cyclic: Record<string, unknown> = { message: "round" }
      cyclic["self"] = cyclic
      const thrown: ReadonlyArray<unknown> = [null, cyclic, new Error("x".repeat(1_000_000)), "\u0000\ud800"]
      const Throw = Job.make("Throw", { payload: { n: Schema.Number }, retry: { times: 0 } })
      const live = Throw.toLayer(({ n }) => Effect.die(thrown[n]))
      const worker = yield* Worker.make([Throw]).pipe(Effect.provide(live))
      const all = yield* JobQueue.enqueueAll(
        Throw,
        thrown.map((_, n) => ({ n }))
      )
      yield* worker.awaitIdle
      for (const id of all) {
        const { failure, state } = yield* row(id)
        assert.strictEqual(state, "failed")
        assert.isBelow(failure?.length ?? 0, 20_000)
      }
    }).pipe(Effect.provide(services))
  )

  it.scoped("an undecodable row is parked at its first claim; an old row decodes under a transformation", () =>
    Effect.gen(function* () {
      const Old = Job.make("Person", { payload: { name: Schema.String } })
      const New = Job.make("Person", {
        payload: Schema.Struct({ name: Schema.String, age: Schema.optionalWith(Schema.Number, { default: () => 7 }) }),
        success: Schema.Number
      })
      const Strict = Job.make("Person2", { payload: { name: Schema.String, age: Schema.Number } })
      const old = yield* JobQueue.enqueue(Old, { name: "ada" })
      const bad = yield* JobQueue.enqueue(Job.make("Person2", { payload: { name: Schema.String } }), { name: "ada" })
      const live = Layer.merge(
        New.toLayer(({ age }) => Effect.succeed(age)),
        Strict.toLayer(() => Effect.void)
      )
      const worker = yield* Worker.make([New, Strict]).pipe(Effect.provide(live))
      yield* worker.awaitIdle
      assert.strictEqual(yield* JobQueue.join(New, Job.id(New, old)), 7)
      const parked = yield* row(bad)
      assert.strictEqual(parked.state, "failed")
      assert.include(parked.failure ?? "", "undecodable")
      assert.notInclude(parked.failure ?? "", "ada")
    }).pipe(Effect.provide(services))
  )

  it.scoped("refuses options outside their rules, by field", () =>
    Effect.gen(function* () {
      const live = Send.toLayer(() => Effect.succeed(""))
      const fieldOf = <A, E, R>(made: Effect.Effect<A, E, R>) =>
        Effect.map(Effect.flip(made), (error) => (error instanceof JobError.InvalidOption ? error.field : error))
      const refused = (options: Worker.Options) => fieldOf(Effect.provide(Worker.make([Send], options), live))
      assert.strictEqual(yield* refused({ concurrency: 0 }), "concurrency")
      assert.strictEqual(yield* refused({ lease: "500 millis" }), "lease")
      assert.strictEqual(yield* refused({ queues: { "a b": { concurrency: 1 } } }), "queues.a b")
      const other = Job.make("Send", { payload: { to: Schema.String } })
      assert.strictEqual(yield* fieldOf(Effect.provide(Worker.make([other]), live)), "jobs")
    }).pipe(Effect.provide(services))
  )

  it.scoped("an outcome that the storage refuses for good holds up no neighbour, and its job runs again", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage.JobStorage
      const poison = yield* Ref.make("")
      const refusing = JobStorage.JobStorage.of({
        ...storage,
        settle: (outcomes) =>
          Effect.flatMap(Ref.get(poison), (id) =>
            outcomes.some((outcome) => outcome.id === id)
              ? new JobError.StorageError({ operation: "settle", message: "settle: no", isTransient: false })
              : storage.settle(outcomes)
          )
      })
      const live = Send.toLayer(({ to }) => Effect.succeed(to))
      const ids = yield* JobQueue.enqueueAll(
        Send,
        Array.from({ length: 40 }, (_, i) => ({ to: `${i}` }))
      )
      const refused = ids[17] ?? ""
      yield* Ref.set(poison, refused)
      const worker = yield* Worker.make([Send], { concurrency: 40 }).pipe(
        Effect.provide(live),
        Effect.provideService(JobStorage.JobStorage, refusing)
      )
      yield* TestClock.adjust("2 seconds")
      const states = (yield* JobQueue.list({ limit: 200 })).jobs
      assert.deepStrictEqual(
        states.filter((job) => job.state !== "completed").map((job) => job.id),
        [refused]
      )
      // the lease ends, for it is not renewed any more, and the sweeper puts the job back
      yield* TestClock.adjust("28 seconds")
      yield* Ref.set(poison, "")
      yield* TestClock.adjust("1 minute")
      yield* worker.awaitIdle
      const { attempt, crashes, state } = yield* row(refused)
      assert.deepStrictEqual({ attempt, crashes, state }, { attempt: 2, crashes: 1, state: "completed" })
    }).pipe(Effect.provide(services))
  )

  it.scoped("jobs claimed ahead while they were quick are handed back when they turn slow, for others to run", () =>
    Effect.gen(function* () {
      const Varied = Job.make("Varied", { payload: { seconds: Schema.Number } })
      const live = Varied.toLayer(({ seconds }) => (seconds === 0 ? Effect.void : Effect.sleep(seconds * 1_000)))
      yield* JobQueue.enqueueAll(
        Varied,
        Array.from({ length: 400 }, (_, i) => ({ seconds: i < 300 ? 0 : 600 }))
      )
      yield* TestClock.adjust("1 second")
      const first = yield* Worker.make([Varied], { concurrency: 1, shutdownTimeout: 0 }).pipe(Effect.provide(live))
      yield* TestClock.adjust("100 millis")
      assert.isAbove((yield* first.status).buffered, 1)
      const second = yield* Worker.make([Varied], { concurrency: 1, shutdownTimeout: 0 }).pipe(Effect.provide(live))
      yield* TestClock.adjust("15 seconds")
      assert.strictEqual((yield* first.status).running.length, 1)
      assert.strictEqual((yield* second.status).running.length, 1)
      assert.isAtMost((yield* first.status).buffered, 1)
      const waiting = (yield* JobQueue.list({ states: ["pending"], limit: 200 })).jobs
      assert.isTrue(waiting.every(({ attempt }) => attempt === 0))
    }).pipe(Effect.provide(services))
  )

  it.scoped("a slot that two queues fill together is used again when it is free", () =>
    Effect.gen(function* () {
      const live = Send.toLayer(({ to }) => Effect.as(Effect.sleep(to === "mail" ? "1 second" : "2 seconds"), ""))
      yield* JobQueue.enqueue(Send, { to: "mail" }, { queue: "mail" })
      yield* JobQueue.enqueue(Send, { to: "other" })
      yield* Worker.make([Send], { concurrency: 2, queues: { mail: { concurrency: 2 } } }).pipe(Effect.provide(live))
      yield* TestClock.adjust("100 millis")
      const third = yield* JobQueue.enqueue(Send, { to: "mail" }, { queue: "mail" })
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* row(third)).state, "completed")
    }).pipe(Effect.provide(services))
  )

  it.scoped("a result whose getter throws fails its own job only", () =>
    Effect.gen(function* () {
      const Odd = Job.make("Odd", { payload: { odd: Schema.Boolean }, success: Schema.Unknown, retry: { times: 0 } })
      const hostile = {
        get value(): string {
          throw new Error("no")
        }
      }
      const live = Odd.toLayer(({ odd }) => Effect.succeed(odd ? hostile : 1))
      const worker = yield* Worker.make([Odd], { concurrency: 1 }).pipe(Effect.provide(live))
      const [bad = "", good = ""] = yield* JobQueue.enqueueAll(Odd, [{ odd: true }, { odd: false }])
      yield* worker.awaitIdle
      assert.strictEqual((yield* row(bad)).state, "failed")
      assert.strictEqual((yield* row(good)).state, "completed")
    }).pipe(Effect.provide(services))
  )

  it.scoped("a job that comes back to the worker that lost it does not run beside itself", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage.JobStorage
      const beside = yield* Ref.make(0)
      const most = yield* Ref.make(0)
      const live = Send.toLayer(() =>
        Effect.gen(function* () {
          const now = yield* Ref.updateAndGet(beside, (n) => n + 1)
          yield* Ref.update(most, (n) => Math.max(n, now))
          yield* Effect.sleep("1 minute")
          return ""
        }).pipe(Effect.ensuring(Ref.update(beside, (n) => n - 1)))
      )
      // every renewal fails, and the lease lapses while the worker still holds the job
      const cut = JobStorage.JobStorage.of({
        ...storage,
        renew: () => new JobError.StorageError({ operation: "renew", message: "renew: away", isTransient: true })
      })
      yield* Worker.make([Send], { lease: "2 seconds", sweepInterval: 100, shutdownTimeout: 0 }).pipe(
        Effect.provide(live),
        Effect.provideService(JobStorage.JobStorage, cut)
      )
      yield* JobQueue.enqueue(Send, { to: "ada" })
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* Ref.get(most), 1)
    }).pipe(Effect.provide(services))
  )

  it.scopedLive("timers and sockets have their turns while jobs that never wait keep the worker busy", () =>
    Effect.gen(function* () {
      const Compute = Job.make("Compute")
      let sinceTick = 0
      let most = 0
      const live = Compute.toLayer(() =>
        Effect.sync(() => {
          sinceTick++
          most = Math.max(most, sinceTick)
          const end = performance.now() + 5
          while (performance.now() < end);
        })
      )
      yield* JobQueue.enqueueAll(
        Compute,
        Array.from({ length: 200 }, () => ({}))
      )
      const tick = Effect.sync(() => {
        sinceTick = 0
      })
      yield* Effect.forkScoped(Effect.repeat(tick, Schedule.spaced("1 millis")))
      const worker = yield* Worker.make([Compute]).pipe(Effect.provide(live))
      yield* worker.awaitIdle
      assert.strictEqual((yield* worker.status).settled, 200)
      assert.isAtMost(most, 20)
    }).pipe(Effect.provide(services))
  )

  it.scopedLive("awaitIdle waits for what a job enqueues while the fetcher hears that there is nothing", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage.JobStorage
      // the answer "nothing" takes its time, and the running job ends meanwhile
      const slow = JobStorage.JobStorage.of({
        ...storage,
        claim: (request) =>
          Effect.tap(storage.claim(request), (rows) => (rows.length === 0 ? Effect.sleep(200) : Effect.void))
      })
      const Second = Job.make("Second")
      const live = Layer.merge(
        Send.toLayer(() =>
          Effect.sleep(50).pipe(Effect.zipRight(Effect.orDie(JobQueue.enqueue(Second))), Effect.as(""))
        ),
        Second.toLayer(() => Effect.void)
      )
      const worker = yield* Worker.make([Send, Second], { concurrency: 2 }).pipe(
        Effect.provide(live),
        Effect.provideService(JobStorage.JobStorage, slow)
      )
      yield* JobQueue.enqueue(Send, { to: "ada" })
      yield* Effect.repeat(worker.status, { until: ({ running }) => running.length > 0, schedule: Schedule.spaced(5) })
      yield* worker.awaitIdle
      assert.deepStrictEqual(yield* JobQueue.counts, [{ queue: "default", state: "completed", count: 2 }])
    }).pipe(Effect.provide(services))
  )

  it.scoped("a lost lease is told once, however long the handler takes to let go", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage.JobStorage
      const told = yield* Ref.make(0)
      const logger = Logger.make<unknown, void>(({ message }) => {
        if (String(message).includes("lease lost")) Effect.runSync(Ref.update(told, (n) => n + 1))
      })
      const lost = JobStorage.JobStorage.of({
        ...storage,
        renew: (holds) => Effect.succeed(holds.map(() => "lost" as const)),
        // nobody runs it again meanwhile
        sweep: () => Effect.succeed({ rescued: 0, ended: 0, removed: 0 })
      })
      const live = Send.toLayer(() => Effect.as(Effect.uninterruptible(Effect.sleep("1 minute")), ""))
      yield* Effect.gen(function* () {
        yield* Worker.make([Send], { lease: "3 seconds", shutdownTimeout: 0 }).pipe(
          Effect.provide(live),
          Effect.provideService(JobStorage.JobStorage, lost)
        )
        yield* JobQueue.enqueue(Send, { to: "ada" })
        yield* TestClock.adjust("20 seconds")
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      assert.strictEqual(yield* Ref.get(told), 1)
      yield* TestClock.adjust("1 minute")
    }).pipe(Effect.provide(services))
  )

  it.scoped("a timeout of one job leaves another its own time", () =>
    Effect.gen(function* () {
      const Brief = Job.make("Brief", { timeout: "2 seconds", retry: { times: 0 } })
      const Lengthy = Job.make("Lengthy", { timeout: "10 seconds", retry: { times: 0 } })
      const live = Layer.merge(
        Brief.toLayer(() => Effect.never),
        Lengthy.toLayer(() => Effect.sleep("9 seconds"))
      )
      yield* Worker.make([Brief, Lengthy]).pipe(Effect.provide(live))
      const lengthy = yield* JobQueue.enqueue(Lengthy)
      const brief = yield* JobQueue.enqueue(Brief)
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual((yield* row(brief)).state, "running")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* row(brief)).state, "failed")
      assert.strictEqual((yield* row(lengthy)).state, "running")
      yield* TestClock.adjust("7 seconds")
      assert.strictEqual((yield* row(lengthy)).state, "completed")
    }).pipe(Effect.provide(services))
  )

  it.scoped("a job far ahead costs no polling: a month passes in a few steps of the clock", () =>
    Effect.gen(function* () {
      const live = Send.toLayer(() => Effect.succeed("done"))
      yield* Worker.make([Send]).pipe(Effect.provide(live))
      const id = yield* JobQueue.enqueue(Send, { to: "ada" }, { delay: "30 days" })
      yield* TestClock.adjust("30 days")
      assert.strictEqual((yield* row(id)).state, "completed")
    }).pipe(Effect.provide(services))
  )

  it.scoped("says in the log that a job has failed for good, by kind and name, never with what the error says", () =>
    Effect.gen(function* () {
      const told = yield* Ref.make<ReadonlyArray<string>>([])
      const logger = Logger.make<unknown, void>(({ annotations, logLevel, message }) => {
        Effect.runSync(
          Ref.update(told, (all) => [
            ...all,
            `${logLevel.label} ${String(message)} ${JSON.stringify([...annotations])}`
          ])
        )
      })
      const Leaky = Job.make("Leaky", { retry: { times: 1, schedule: Schedule.spaced("1 second") } })
      yield* Effect.gen(function* () {
        const live = Leaky.toLayer(() => Effect.die(new TypeError("the secret is 42")))
        const worker = yield* Worker.make([Leaky]).pipe(Effect.provide(live))
        const id = yield* JobQueue.enqueue(Leaky)
        yield* worker.awaitIdle
        assert.deepStrictEqual(yield* Ref.get(told), [])
        yield* TestClock.adjust("1 second")
        yield* worker.awaitIdle
        const [line = "", ...others] = yield* Ref.get(told)
        assert.deepStrictEqual(others, [])
        assert.include(line, "WARN dbjobq: a job has failed for good")
        for (const part of [id, "Leaky", "die", "TypeError"]) assert.include(line, part)
        assert.notInclude(line, "secret")
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
    }).pipe(Effect.provide(services))
  )

  it.scoped("also with debug logs on: a fiber's end does not tell what a handler failed with", () =>
    Effect.gen(function* () {
      const told = yield* Ref.make<ReadonlyArray<string>>([])
      const logger = Logger.make<unknown, void>(({ cause, message }) => {
        Effect.runSync(Ref.update(told, (all) => [...all, `${String(message)} ${Cause.pretty(cause)}`]))
      })
      const Leaky = Job.make("Leaky", { error: Schema.String, retry: { times: 0 } })
      yield* Effect.gen(function* () {
        const live = Leaky.toLayer(() => Effect.fail("the secret is 42"))
        const worker = yield* Worker.make([Leaky]).pipe(Effect.provide(live))
        yield* JobQueue.enqueue(Leaky)
        yield* worker.awaitIdle
        assert.notInclude((yield* Ref.get(told)).join("\n"), "secret")
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)), Logger.withMinimumLogLevel(LogLevel.Debug))
    }).pipe(Effect.provide(services))
  )

  it.scopedLive("says since when a job has been running, as people tell the time", () =>
    Effect.gen(function* () {
      const live = Send.toLayer(() => Effect.never)
      const worker = yield* Worker.make([Send], { shutdownTimeout: 0 }).pipe(Effect.provide(live))
      const before = Date.now()
      yield* JobQueue.enqueue(Send, { to: "ada" })
      const [running] = yield* Effect.repeat(
        Effect.delay(
          Effect.map(worker.status, (status) => status.running),
          10
        ),
        { until: (jobs) => jobs.length > 0 }
      )
      assert.closeTo(running?.since ?? 0, before, 5_000)
    }).pipe(Effect.provide(services))
  )

  for (const way of ["succeeds", "fails", "dies"]) {
    it.scoped(`a handler that ${way}, and whose finalizers are cut off by a shutdown, is handed back`, () =>
      Effect.gen(function* () {
        const slow = Effect.addFinalizer(() => Effect.sleep("10 seconds"))
        const live = Send.toLayer(() =>
          Effect.zipRight(
            slow,
            way === "succeeds"
              ? Effect.succeed("")
              : way === "fails"
                ? Effect.fail(new MailboxFull({ temporary: true }))
                : Effect.die("oh")
          )
        )
        const worker = yield* Worker.make([Send], { shutdownTimeout: 0 }).pipe(Effect.provide(live))
        const id = yield* JobQueue.enqueue(Send, { to: "ada" })
        yield* TestClock.adjust("1 second")
        const stopping = yield* Effect.fork(worker.stop)
        yield* TestClock.adjust("20 seconds")
        yield* Fiber.join(stopping)
        const { attempt, state } = yield* row(id)
        assert.deepStrictEqual({ attempt, state }, { attempt: 0, state: "pending" })
      }).pipe(Effect.provide(services))
    )
  }

  it.scoped("counts what it settles, by job and outcome, and how long attempts take", () =>
    Effect.gen(function* () {
      const Counted = Job.make("Counted", { payload: { ok: Schema.Boolean }, retry: { times: 0 } })
      const live = Counted.toLayer(({ ok }) => (ok ? Effect.void : Effect.die("no")))
      const worker = yield* Worker.make([Counted]).pipe(Effect.provide(live))
      yield* JobQueue.enqueueAll(Counted, [{ ok: true }, { ok: true }, { ok: false }])
      yield* worker.awaitIdle
      const values = (yield* Metric.snapshot).flatMap(({ metricKey, metricState }) => {
        const labels = metricKey.tags.map(({ key, value }) => `${key}=${value}`).sort()
        return labels.includes("job=Counted")
          ? [`${metricKey.name}{${labels.join()}} ${"count" in metricState ? metricState.count : ""}`]
          : []
      })
      assert.sameMembers(values, [
        "dbjobq_enqueued_total{job=Counted} 3",
        "dbjobq_settled_total{job=Counted,outcome=complete} 2",
        "dbjobq_settled_total{job=Counted,outcome=fail} 1",
        "dbjobq_attempt_seconds{job=Counted} 3"
      ])
    }).pipe(Effect.provide(services))
  )

  it.scoped("under a tracer, enqueue and attempt are spans of one trace; without one, neither exists", () =>
    Effect.gen(function* () {
      const seen = yield* Ref.make<ReadonlyArray<string | undefined>>([])
      const live = Send.toLayer(() =>
        Effect.zipRight(
          Effect.flatMap(Effect.option(Effect.currentSpan), (span) =>
            Ref.update(seen, (all) => [...all, Option.getOrUndefined(span)?.name])
          ),
          Effect.succeed("")
        )
      )
      const quiet = yield* Worker.make([Send], { concurrency: 1 }).pipe(Effect.provide(live))
      yield* JobQueue.enqueue(Send, { to: "ada" })
      yield* quiet.awaitIdle
      yield* quiet.stop
      assert.deepStrictEqual(yield* Ref.get(seen), [undefined])

      const spans: Array<Tracer.Span> = []
      const native = yield* Effect.tracer
      const recording = Tracer.make({
        context: native.context.bind(native),
        span: (...args) => {
          const span = native.span(...args)
          spans.push(span)
          return span
        }
      })
      yield* Effect.gen(function* () {
        const traced = yield* Worker.make([Send], { concurrency: 1 }).pipe(Effect.provide(live))
        yield* Effect.withSpan(JobQueue.enqueue(Send, { to: "ada" }), "request")
        yield* traced.awaitIdle
      }).pipe(Effect.withTracer(recording))
      const [request, enqueued, attempted] = spans
      assert.deepStrictEqual(
        spans.map((span) => span.name),
        ["request", "dbjobq enqueue Send", "dbjobq Send"]
      )
      assert.strictEqual(enqueued?.parent.pipe(Option.getOrUndefined)?.spanId, request?.spanId)
      assert.strictEqual(attempted?.parent.pipe(Option.getOrUndefined)?.spanId, enqueued?.spanId)
      assert.strictEqual(attempted?.traceId, request?.traceId)
    }).pipe(Effect.provide(services))
  )
})
