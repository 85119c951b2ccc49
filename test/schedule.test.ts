import { assert, describe, it } from "@effect/vitest"
import { Job, JobError, JobQueue, JobSchedule, JobStorage, Recurrence, Worker } from "dbjobq"
import * as MemoryStorage from "dbjobq/storage/MemoryStorage"
import { Chunk, Deferred, Effect, Layer, Schema, Stream, TestClock, TestServices } from "effect"

const Tick = Job.make("Tick", { payload: { n: Schema.Number }, retry: { times: 1 } })
const Other = Job.make("Other")

const services = JobQueue.layer.pipe(Layer.provideMerge(MemoryStorage.layer))

const start = Date.UTC(2024, 0, 1)
const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

const everyMinute = Recurrence.every("1 minute")
const hourly = Recurrence.every("1 hour")
const done = Tick.toLayer(() => Effect.void)

/** The scheduler works in the background; real time is all it may take. */
const eventually = <A, E, R>(effect: Effect.Effect<A, E, R>, met: (a: A) => boolean, tries = 2_000) =>
  Effect.gen(function* () {
    for (let at = 0; ; at++) {
      const found = yield* effect
      if (met(found)) return found
      if (at >= tries) return yield* Effect.dieMessage(`never came to pass: ${JSON.stringify(found)}`)
      yield* TestServices.provideLive(Effect.sleep("2 millis"))
    }
  })

const rows = (id: string) =>
  Effect.map(
    JobQueue.stream().pipe(
      Stream.filter((row) => row.scheduleId === id),
      Stream.runCollect
    ),
    (chunk) => Chunk.toReadonlyArray(chunk)
  )

const slots = (id: string) => Effect.map(rows(id), (found) => found.map((row) => row.slot))

/** Once every slot until now has been dealt with. */
const upToDate = (id: string) =>
  Effect.flatMap(Effect.clock, (clock) =>
    eventually(
      JobQueue.getSchedule(id),
      (row) => !row.enabled || row.next === null || row.next > clock.unsafeCurrentTimeMillis()
    )
  )

const range = (count: number, from: number, step: number) => Array.from({ length: count }, (_, at) => from + at * step)

/** MemoryStorage with some operations replaced. */
const altered = (change: (storage: JobStorage.Service) => Partial<JobStorage.Service>) =>
  JobQueue.layer.pipe(
    Layer.provideMerge(
      Layer.effect(
        JobStorage.JobStorage,
        Effect.map(MemoryStorage.make, (storage) => ({ ...storage, ...change(storage) }))
      )
    )
  )

describe("firing", () => {
  it.scoped("a fixed rate: each slot once, at its instant, with schedule and slot in CurrentJob", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start + 1)
      const seen: Array<unknown> = []
      const clock = yield* Effect.clock
      const live = Tick.toLayer(({ n }) =>
        Effect.map(Job.CurrentJob, ({ schedule }) => {
          seen.push([n, schedule?.id, schedule?.slot, clock.unsafeCurrentTimeMillis()])
        })
      )
      const schedule = JobSchedule.make("ticks", { job: Tick, payload: { n: 7 }, recurrence: everyMinute })
      const worker = yield* Worker.make([], { schedules: [schedule] }).pipe(Effect.provide(live))
      for (let at = 0; at < 5; at++) {
        yield* TestClock.adjust("1 minute")
        yield* upToDate("ticks")
        yield* worker.awaitIdle
      }
      assert.deepStrictEqual(
        seen,
        range(5, start + minute, minute).map((slot) => [7, "ticks", slot, slot])
      )
      const row = yield* JobQueue.getSchedule("ticks")
      assert.deepInclude(row, { fired: 5, skipped: 0, lastSlot: start + 5 * minute, next: start + 6 * minute })
      const [first] = yield* rows("ticks")
      // a UUIDv7 of the slot's time
      assert.match(first?.id ?? "", /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      assert.strictEqual(Number.parseInt((first?.id ?? "").replace("-", "").slice(0, 12), 16), start + minute)
      assert.deepInclude(first, { name: "Tick", maxAttempts: 2, state: "completed", runAt: start + minute })
    }).pipe(Effect.provide(services))
  )

  it.scoped("a cron expression in a zone keeps to the wall clock over a change of it", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.UTC(2024, 2, 29))
      const schedule = JobSchedule.make("nightly", {
        job: Tick,
        payload: { n: 1 },
        recurrence: Recurrence.unsafeCron("0 3 * * *", { timezone: "Europe/Oslo" })
      })
      yield* Worker.make([], { schedules: [schedule] }).pipe(Effect.provide(done))
      for (let at = 0; at < 4; at++) {
        yield* TestClock.adjust("1 day")
        yield* upToDate("nightly")
      }
      assert.deepStrictEqual(yield* slots("nightly"), [
        Date.UTC(2024, 2, 29, 2),
        Date.UTC(2024, 2, 30, 2),
        Date.UTC(2024, 2, 31, 1),
        Date.UTC(2024, 3, 1, 1)
      ])
    }).pipe(Effect.provide(services))
  )

  it.scoped("busy slots do not hold the scheduler up", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const live = Tick.toLayer(() => Effect.never)
      const schedule = JobSchedule.make("busy", { job: Tick, payload: { n: 1 }, recurrence: everyMinute })
      yield* Worker.make([], { concurrency: 1, prefetch: 0, shutdownTimeout: 0, schedules: [schedule] }).pipe(
        Effect.provide(live)
      )
      for (let at = 0; at < 4; at++) {
        yield* TestClock.adjust("1 minute")
        yield* upToDate("busy")
      }
      const found = yield* rows("busy")
      assert.deepStrictEqual(
        found.map((row) => row.slot),
        range(4, start + minute, minute)
      )
      assert.deepStrictEqual(
        found.map((row) => row.enqueuedAt),
        range(4, start + minute, minute)
      )
      assert.isBelow(found.filter((row) => row.state === "running").length, 2)
    }).pipe(Effect.provide(services))
  )

  it.scoped("restarts and several workers: each slot once", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const schedule = JobSchedule.make("shared", { job: Tick, payload: { n: 1 }, recurrence: everyMinute })
      const make = Worker.make([], { schedules: [schedule] }).pipe(Effect.provide(done))
      const workers = [yield* make, yield* make, yield* make]
      for (let at = 0; at < 12; at++) {
        const worker = workers[at % 3]
        assert(worker !== undefined)
        yield* worker.stop
        yield* TestClock.adjust("1 minute")
        yield* upToDate("shared")
        yield* worker.start
      }
      assert.deepStrictEqual(yield* slots("shared"), range(12, start + minute, minute))
      assert.deepInclude(yield* JobQueue.getSchedule("shared"), { fired: 12, skipped: 0, version: 1 })
    }).pipe(Effect.provide(services))
  )

  it.scoped("removed and put again: no slot twice", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start + 30_000)
      const schedule = JobSchedule.make("again", { job: Tick, payload: { n: 1 }, recurrence: everyMinute })
      yield* Worker.make([Tick]).pipe(Effect.provide(done))
      for (let at = 0; at < 3; at++) {
        yield* JobQueue.putSchedule(schedule)
        yield* TestClock.adjust("1 minute")
        yield* upToDate("again")
        yield* JobQueue.removeSchedule("again")
      }
      assert.deepStrictEqual(yield* slots("again"), range(3, start + minute, minute))
      // the very slot once more, as if a put had come from a clock that is behind
      const storage = yield* JobStorage.JobStorage
      const row = yield* JobQueue.putSchedule(schedule)
      yield* storage.removeSchedules(["again"])
      yield* storage.putSchedules([{ ...row, enabled: true, next: start + 3 * minute }])
      yield* upToDate("again")
      assert.deepStrictEqual(yield* slots("again"), range(3, start + minute, minute))
    }).pipe(Effect.provide(services))
  )

  it.scoped("a held unique key makes the slot a skipped one", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const Unique = Job.make("Unique", { payload: { k: Schema.String }, uniqueKey: ({ k }) => k })
      yield* JobQueue.enqueue(Unique, { k: "x" }, { delay: "90 seconds" })
      const live = Unique.toLayer(() => Effect.void)
      const schedule = JobSchedule.make("unique", { job: Unique, payload: { k: "x" }, recurrence: everyMinute })
      const worker = yield* Worker.make([], { schedules: [schedule] }).pipe(Effect.provide(live))
      yield* TestClock.adjust("1 minute")
      yield* upToDate("unique")
      yield* TestClock.adjust("30 seconds")
      yield* worker.awaitIdle
      yield* TestClock.adjust("30 seconds")
      yield* upToDate("unique")
      assert.deepInclude(yield* JobQueue.getSchedule("unique"), { fired: 1, skipped: 1, lastSkipReason: "duplicate" })
      assert.deepStrictEqual(yield* slots("unique"), [start + 2 * minute])
    }).pipe(Effect.provide(services))
  )

  it.scoped("overlap skip: nothing is fired while the last job is unfinished", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const gate = yield* Deferred.make<void>()
      const live = Tick.toLayer(() => Deferred.await(gate))
      const schedule = JobSchedule.make("slow", {
        job: Tick,
        payload: { n: 1 },
        recurrence: everyMinute,
        overlap: "skip"
      })
      const worker = yield* Worker.make([], { schedules: [schedule] }).pipe(Effect.provide(live))
      for (let at = 0; at < 4; at++) {
        yield* TestClock.adjust("1 minute")
        yield* upToDate("slow")
      }
      assert.deepInclude(yield* JobQueue.getSchedule("slow"), { fired: 1, skipped: 3, lastSkipReason: "overlap" })
      yield* Deferred.succeed(gate, undefined)
      yield* worker.awaitIdle
      yield* TestClock.adjust("1 minute")
      yield* upToDate("slow")
      assert.deepStrictEqual(yield* slots("slow"), [start + minute, start + 5 * minute])
    }).pipe(Effect.provide(services))
  )

  it.scoped("jitter spreads the due times, each slot always at the same place", () =>
    Effect.gen(function* () {
      const run = Effect.gen(function* () {
        yield* TestClock.setTime(start)
        const schedule = JobSchedule.make("spread", {
          job: Tick,
          payload: { n: 1 },
          recurrence: everyMinute,
          jitter: "20 seconds"
        })
        yield* Worker.make([], { schedules: [schedule] }).pipe(Effect.provide(done))
        for (let at = 0; at < 20; at++) {
          yield* TestClock.adjust("1 minute")
          yield* upToDate("spread")
        }
        return (yield* rows("spread")).map((row) => row.runAt - (row.slot ?? 0))
      }).pipe(Effect.scoped, Effect.provide(services))
      const first = yield* run
      assert.isTrue(first.every((offset) => offset >= 0 && offset < 20_000))
      assert.isAbove(new Set(first).size, 10)
      assert.deepStrictEqual(yield* run, first)
    })
  )

  it.scoped("an outage of the storage is waited out", () => {
    let down = false
    const failing = new JobError.StorageError({ operation: "test", message: "away", isTransient: true })
    const guard = <A>(effect: Effect.Effect<A, JobError.StorageError>) =>
      Effect.suspend(() => (down ? Effect.fail(failing) : effect))
    const storage = altered((real) => ({
      dueSchedules: (limit) => guard(real.dueSchedules(limit)),
      fire: (fires) => guard(real.fire(fires))
    }))
    return Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const schedule = JobSchedule.make("out", { job: Tick, payload: { n: 1 }, recurrence: everyMinute })
      const worker = yield* Worker.make([], { schedules: [schedule] }).pipe(Effect.provide(done))
      yield* TestClock.adjust("1 minute")
      yield* upToDate("out")
      down = true
      yield* TestClock.adjust("1 minute")
      yield* eventually(worker.status, ({ health }) => health.scheduler?.ok === false)
      yield* TestClock.adjust("25 seconds")
      down = false
      yield* TestClock.adjust("35 seconds")
      yield* upToDate("out")
      assert.deepStrictEqual(yield* slots("out"), range(3, start + minute, minute))
      yield* TestClock.adjust("1 minute")
      yield* upToDate("out")
      yield* eventually(worker.status, ({ health }) => health.scheduler?.ok === true)
      assert.deepInclude(yield* JobQueue.getSchedule("out"), { fired: 4, skipped: 0 })
    }).pipe(Effect.provide(storage))
  })

  it.scoped("a lost reply of fire does not fire twice", () => {
    const lost = new JobError.StorageError({ operation: "fire", message: "connection lost", isTransient: true })
    const storage = altered((real) => ({ fire: (fires) => Effect.zipRight(real.fire(fires), Effect.fail(lost)) }))
    return Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const schedule = JobSchedule.make("lost", { job: Tick, payload: { n: 1 }, recurrence: everyMinute })
      yield* Worker.make([], { schedules: [schedule] }).pipe(Effect.provide(done))
      for (let at = 0; at < 3; at++) {
        yield* TestClock.adjust("1 minute")
        yield* upToDate("lost")
      }
      assert.deepStrictEqual(yield* slots("lost"), range(3, start + minute, minute))
    }).pipe(Effect.provide(storage))
  })

  it.scoped("a schedule that cannot be followed is disabled, its neighbours fire", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const good = JobSchedule.make("good", { job: Tick, payload: { n: 1 }, recurrence: everyMinute })
      const storage = yield* JobStorage.JobStorage
      const row = yield* JobQueue.putSchedule(good)
      yield* storage.putSchedules([{ ...row, id: "bad", recurrence: "every blue moon" }])
      yield* Worker.make([Tick]).pipe(Effect.provide(done))
      yield* TestClock.adjust("1 minute")
      yield* upToDate("good")
      const bad = yield* upToDate("bad")
      assert.deepInclude(bad, { enabled: false, next: null, fired: 0 })
      assert.include(bad.disabledReason ?? "", "does not parse")
      assert.deepStrictEqual(yield* slots("good"), [start + minute])
      const error = yield* Effect.flip(JobQueue.enableSchedule("bad"))
      assert.strictEqual(error._tag, "InvalidRecurrence")
    }).pipe(Effect.provide(services))
  )

  it.scoped("a fire that the storage refuses does not keep the others from firing", () => {
    const refused = new JobError.StorageError({ operation: "fire", message: "too large", isTransient: false })
    const storage = altered((real) => ({
      fire: (fires) => (fires.some((fire) => fire.schedule === "refused") ? Effect.fail(refused) : real.fire(fires))
    }))
    return Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const make = (id: string) => JobSchedule.make(id, { job: Tick, payload: { n: 1 }, recurrence: everyMinute })
      const worker = yield* Worker.make([], { schedules: ["a", "refused", "b"].map(make) }).pipe(Effect.provide(done))
      yield* TestClock.adjust("1 minute")
      yield* upToDate("a")
      yield* upToDate("b")
      yield* eventually(worker.status, ({ health }) => health.scheduler?.ok === false)
      assert.deepStrictEqual([yield* slots("a"), yield* slots("b")], [[start + minute], [start + minute]])
    }).pipe(Effect.provide(storage))
  })

  it.scoped("one look at the storage for each slot", () => {
    let looks = 0
    const storage = altered((real) => ({
      dueSchedules: (limit) =>
        Effect.zipRight(
          Effect.sync(() => looks++),
          real.dueSchedules(limit)
        )
    }))
    return Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const schedule = JobSchedule.make("year", { job: Tick, payload: { n: 1 }, recurrence: hourly })
      yield* Worker.make([], { schedules: [schedule] }).pipe(Effect.provide(done))
      yield* TestClock.adjust("1 hour")
      yield* upToDate("year")
      const before = looks
      yield* TestClock.adjust("100 hours")
      yield* upToDate("year")
      assert.deepInclude(yield* JobQueue.getSchedule("year"), { fired: 101, skipped: 0 })
      // the scheduler hears of its own changes too
      assert.isAtMost(looks - before, 2 * 100 + 1)
    }).pipe(Effect.provide(storage))
  })
})

describe("missed slots", () => {
  const late = (missed: JobSchedule.Missed | undefined, recurrence = hourly, after = 100 * hour + 30 * minute) =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      yield* JobQueue.putSchedule(JobSchedule.make("late", { job: Tick, payload: { n: 1 }, recurrence, missed }))
      yield* TestClock.setTime(start + after)
      const began = performance.now()
      yield* Worker.make([Tick]).pipe(Effect.provide(done))
      yield* upToDate("late")
      return {
        millis: performance.now() - began,
        row: yield* JobQueue.getSchedule("late"),
        slots: yield* slots("late")
      }
    }).pipe(Effect.provide(services))

  it.scoped("skip, once, all: the latest run, the rest is counted", () =>
    Effect.gen(function* () {
      const skip = yield* late("skip")
      assert.deepStrictEqual(skip.slots, [])
      assert.deepInclude(skip.row, { fired: 0, skipped: 100, lastSkipReason: "missed", next: start + 101 * hour })
      const once = yield* late(undefined)
      assert.deepStrictEqual(once.slots, [start + 100 * hour])
      assert.deepInclude(once.row, { fired: 1, skipped: 99, lastSkipReason: "missed", lastSlot: start + 100 * hour })
      const three = yield* late({ all: 3 })
      assert.deepStrictEqual(three.slots, range(3, start + 98 * hour, hour))
      assert.deepInclude(three.row, { fired: 3, skipped: 97 })
      const all = yield* late({ all: 1_000 })
      assert.deepStrictEqual(all.slots, range(100, start + hour, hour))
      assert.deepInclude(all.row, { fired: 100, skipped: 0, lastSkipReason: null })
    })
  )

  it.scoped("a slot is missed when it is found more than 60 seconds late", () =>
    Effect.gen(function* () {
      const seconds = Recurrence.every("10 seconds")
      const found = yield* late("skip", seconds, 5 * minute)
      assert.deepStrictEqual(found.slots, range(7, start + 4 * minute, 10_000))
      assert.deepInclude(found.row, { fired: 7, skipped: 23 })
    })
  )

  it.scoped("with overlap skip, one job for all that is due", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const options = { job: Tick, payload: { n: 1 }, recurrence: everyMinute, overlap: "skip" } as const
      yield* JobQueue.putSchedule(JobSchedule.make("one", { ...options, missed: { all: 5 } }))
      yield* TestClock.setTime(start + 10 * minute)
      yield* Worker.make([Tick]).pipe(Effect.provide(done))
      yield* upToDate("one")
      assert.deepStrictEqual(yield* slots("one"), [start + 10 * minute])
      assert.deepInclude(yield* JobQueue.getSchedule("one"), { fired: 1, skipped: 9 })
    }).pipe(Effect.provide(services))
  )

  it.scoped("a million missed minutes are settled at once, also of a cron expression", () =>
    Effect.gen(function* () {
      const after = 1_000_000 * minute + 30_000
      for (const recurrence of [everyMinute, Recurrence.unsafeCron("* * * * *", { timezone: "Europe/Oslo" })]) {
        const { millis, row } = yield* late("once", recurrence, after)
        assert.deepInclude(row, { fired: 2, skipped: 999_998, next: start + 1_000_001 * minute })
        assert.isBelow(millis, 10_000)
      }
    })
  )

  it.effect("a year's 8,760 hourly slots, fired and run in less than a second", () =>
    Effect.gen(function* () {
      const until = start + 365 * day + 30 * minute
      const ran: Array<number> = []
      const live = Tick.toLayer(() => Effect.map(Job.CurrentJob, ({ schedule }) => void ran.push(schedule?.slot ?? 0)))
      const year = Effect.gen(function* () {
        ran.length = 0
        yield* TestClock.setTime(start)
        const options = { job: Tick, payload: { n: 1 }, recurrence: hourly, missed: { all: 10_000 } }
        yield* JobQueue.putSchedule(JobSchedule.make("year", options))
        yield* TestClock.setTime(until)
        const began = process.cpuUsage()
        const worker = yield* Worker.make([Tick]).pipe(Effect.provide(live))
        yield* upToDate("year")
        yield* worker.awaitIdle
        const spent = process.cpuUsage(began)
        assert.deepStrictEqual(
          ran.sort((a, b) => a - b),
          range(8_760, start + hour, hour)
        )
        assert.deepInclude(yield* JobQueue.getSchedule("year"), { fired: 8_760, skipped: 0 })
        return (spent.user + spent.system) / 1_000
      }).pipe(Effect.scoped, Effect.provide(services))
      // the first one is compiled while it runs; processor time, for a busy machine takes any other
      const millis = yield* Effect.all([year, year, year])
      assert.isBelow(Math.min(...millis), 1_000)
    })
  )
})

describe("operating", () => {
  it.scoped("disable stops it, enable goes on from now", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const schedule = JobSchedule.make("onoff", { job: Tick, payload: { n: 1 }, recurrence: everyMinute })
      yield* Worker.make([], { schedules: [schedule] }).pipe(Effect.provide(done))
      yield* TestClock.adjust("1 minute")
      yield* upToDate("onoff")
      yield* JobQueue.disableSchedule("onoff")
      yield* TestClock.adjust("10 minutes")
      // put again by a program that says nothing of it: an operator's word stands
      yield* JobQueue.putSchedule(schedule)
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(yield* slots("onoff"), [start + minute])
      yield* JobQueue.enableSchedule("onoff")
      yield* TestClock.adjust("1 minute")
      yield* upToDate("onoff")
      assert.deepStrictEqual(yield* slots("onoff"), [start + minute, start + 22 * minute])
      assert.deepInclude(yield* JobQueue.getSchedule("onoff"), { fired: 2, skipped: 0 })
    }).pipe(Effect.provide(services))
  )

  it.scoped("an edit takes effect from the next slot, a changed recurrence at once", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const make = (n: number, recurrence: Recurrence.Recurrence) =>
        JobSchedule.make("edited", { job: Tick, payload: { n }, recurrence })
      yield* Worker.make([Tick]).pipe(Effect.provide(done))
      yield* JobQueue.putSchedule(make(1, hourly))
      yield* TestClock.adjust("30 minutes")
      const edited = yield* JobQueue.putSchedule(make(2, hourly))
      assert.strictEqual(edited.next, start + hour)
      yield* TestClock.adjust("30 minutes")
      yield* upToDate("edited")
      const sooner = yield* JobQueue.putSchedule(make(3, everyMinute))
      assert.strictEqual(sooner.next, start + hour + minute)
      yield* TestClock.adjust("1 minute")
      yield* upToDate("edited")
      assert.deepStrictEqual(
        (yield* rows("edited")).map((row) => [row.slot, row.payload]),
        [
          [start + hour, `{"n":2}`],
          [start + hour + minute, `{"n":3}`]
        ]
      )
    }).pipe(Effect.provide(services))
  )

  it.scoped("trigger runs it now, also while disabled; preview tells its next slots", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start + 1)
      const seen: Array<unknown> = []
      const live = Tick.toLayer(() => Effect.map(Job.CurrentJob, ({ schedule }) => void seen.push(schedule)))
      const schedule = JobSchedule.make("manual", { job: Tick, payload: { n: 4 }, recurrence: hourly, enabled: false })
      const worker = yield* Worker.make([], { schedules: [schedule] }).pipe(Effect.provide(live))
      const before = yield* JobQueue.getSchedule("manual")
      const id = yield* JobQueue.triggerSchedule("manual")
      yield* worker.awaitIdle
      assert.deepInclude(yield* JobQueue.get(id), {
        state: "completed",
        scheduleId: "manual",
        slot: null,
        maxAttempts: 2
      })
      assert.deepStrictEqual(seen, [{ id: "manual", slot: undefined }])
      assert.deepStrictEqual(yield* JobQueue.getSchedule("manual"), before)
      const millis = (n: number) =>
        Effect.map(JobQueue.previewSchedule("manual", n), (found) => found.map((slot) => slot.epochMillis))
      assert.deepStrictEqual(yield* millis(3), range(3, start + hour, hour))
      yield* JobQueue.enableSchedule("manual")
      assert.deepStrictEqual(yield* millis(2), range(2, start + hour, hour))
      assert.deepStrictEqual(yield* millis(0), [])
      assert.strictEqual((yield* Effect.flip(millis(-1)))._tag, "InvalidOption")
    }).pipe(Effect.provide(services))
  )

  it.effect("put, get, list, remove", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(start)
      const ids = ["a", "b", "c"]
      for (const id of ids) {
        yield* JobQueue.putSchedule(JobSchedule.make(id, { job: Other, recurrence: hourly, queue: "q", priority: 3 }))
      }
      assert.deepInclude(yield* JobQueue.getSchedule("a"), {
        job: "Other",
        queue: "q",
        priority: 3,
        payload: "{}",
        recurrence: "every 1 hour",
        missed: 1,
        overlap: "allow",
        enabled: true,
        next: start + hour
      })
      const first = yield* JobQueue.listSchedules({ limit: 2 })
      assert.deepStrictEqual([first.schedules.map((row) => row.id), first.next], [["a", "b"], "b"])
      const second = yield* JobQueue.listSchedules({ limit: 2, after: first.next })
      assert.deepStrictEqual([second.schedules.map((row) => row.id), second.next], [["c"], undefined])
      yield* JobQueue.removeSchedule("b")
      for (const effect of [
        JobQueue.getSchedule("b"),
        JobQueue.removeSchedule("b"),
        JobQueue.enableSchedule("b"),
        JobQueue.disableSchedule("b"),
        JobQueue.triggerSchedule("b"),
        JobQueue.previewSchedule("b", 1)
      ]) {
        const error: unknown = yield* Effect.flip(effect)
        assert.instanceOf(error, JobError.ScheduleNotFound)
      }
      assert.strictEqual((yield* Effect.flip(JobQueue.listSchedules({ limit: 0 })))._tag, "InvalidOption")
    }).pipe(Effect.provide(services))
  )

  it.effect("JobSchedule.layer declares without a handler; a payload its job refuses is told", () =>
    Effect.gen(function* () {
      const Strict = Job.make("Strict", { payload: { n: Schema.Number.pipe(Schema.positive()) } })
      const make = (n: number) => JobSchedule.make("strict", { job: Strict, payload: { n }, recurrence: hourly })
      const other = JobSchedule.make("other", { job: Other, recurrence: hourly })
      const refused = yield* Effect.flip(Layer.build(JobSchedule.layer([other, make(-1)])))
      assert.strictEqual(refused._tag, "PayloadError")
      assert.notInclude(refused.message, "-1")
      assert.deepStrictEqual((yield* JobQueue.listSchedules()).schedules, [])
      const twice = yield* Effect.flip(Layer.build(JobSchedule.layer([other, other])))
      assert.strictEqual(twice._tag, "InvalidOption")
      yield* Layer.build(JobSchedule.layer([other, make(1)]))
      assert.deepStrictEqual(
        (yield* JobQueue.listSchedules()).schedules.map((row) => row.id),
        ["other", "strict"]
      )
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.scoped("a worker needs a handler for the jobs of its schedules, made from their definition", () =>
    Effect.gen(function* () {
      const namesake = Job.make("Tick", { payload: { n: Schema.Number } })
      const schedule = JobSchedule.make("x", { job: namesake, payload: { n: 1 }, recurrence: hourly })
      const error = yield* Effect.flip(Worker.make([], { schedules: [schedule] }).pipe(Effect.provide(done)))
      assert.strictEqual(error._tag, "InvalidOption")
      assert.deepStrictEqual((yield* JobQueue.listSchedules()).schedules, [])
    }).pipe(Effect.provide(services))
  )

  it("options outside their rules are refused by field", () => {
    const refused = (id: string, options: Partial<JobSchedule.Options<typeof Other>>) => {
      try {
        JobSchedule.make(id, { job: Other, recurrence: hourly, ...options })
      } catch (error) {
        return error instanceof JobError.InvalidOption ? error.field : error
      }
    }
    assert.strictEqual(refused("", {}), "id")
    assert.strictEqual(refused("a b", {}), "id")
    assert.strictEqual(refused("x".repeat(201), {}), "id")
    assert.isUndefined(refused("x".repeat(200), {}))
    assert.strictEqual(refused("x", { priority: 0.5 }), "priority")
    assert.strictEqual(refused("x", { queue: "" }), "queue")
    assert.strictEqual(refused("x", { retries: -1 }), "retries")
    assert.strictEqual(refused("x", { missed: { all: 0 } }), "missed.all")
    assert.strictEqual(refused("x", { jitter: -5 }), "jitter")
  })
})
