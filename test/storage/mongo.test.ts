import { randomBytes } from "node:crypto"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Job, JobQueue, Worker } from "dbjobq"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { MongoClient } from "mongodb"
import type { Fire, Service } from "../../src/JobStorage.js"
import { JobStorage } from "../../src/JobStorage.js"
import type { StorageError } from "../../src/JobError.js"
import * as MongoStorage from "../../src/storage/MongoStorage.js"
import { storageContract } from "../../src/testing/contract.js"
import { storageModel } from "../../src/testing/model.js"
import { job, schedule } from "./jobs.js"
import { dropDatabase } from "./mongoServer/database.js"
import { Failure } from "./mongoServer/failure.js"
import { type Fault, type Fixture, startFixture } from "./mongoServer/server.js"

const real = process.env.DBJOBQ_TEST_MONGO_URL
const set = await startFixture({ replicaSet: true })
const single = await startFixture({ replicaSet: false })
const url = real ?? set.url

const databases: Array<string> = []
const fresh = (): string => {
  const database = `dbjobq_test_${randomBytes(6).toString("hex")}`
  databases.push(database)
  return database
}

afterAll(async () => {
  if (real !== undefined) {
    for (const database of databases) await dropDatabase(real, database)
  }
  await set.stop()
  await single.stop()
})

const timeout = 120_000

storageContract("MongoDB", MongoStorage.layer({ url, database: fresh() }), { timeout })
storageModel("MongoDB", MongoStorage.layer({ url, database: fresh() }), { timeout })
// a single server has no change streams, no transactions and no retryable writes
const singleUrl = real ?? single.url
storageContract(
  "MongoDB, single server, Effect's clock",
  MongoStorage.layer({ url: singleUrl, database: fresh(), clock: "effect", changeStreams: false }),
  { timeout }
)
storageModel(
  "MongoDB, single server, Effect's clock",
  MongoStorage.layer({ url: singleUrl, database: fresh(), clock: "effect" }),
  { timeout }
)

const claim = (storage: Service, limit: number) => storage.claim({ names: ["mail"], limit, owner: "w", lease: 60_000 })

const ids = (rows: ReadonlyArray<{ readonly id: string }>) => rows.map((row) => row.id).sort()

const fireOf = (slot: number, over: Partial<Fire> = {}): Fire => ({
  schedule: "s",
  version: 1,
  slot,
  next: slot + 60_000,
  jobs: [job({ id: `s-${slot}`, scheduleId: "s", slot })],
  skipped: 0,
  overlap: "allow",
  disable: null,
  ...over
})

describe("MongoStorage: opening", () => {
  const secret = "s3cret"
  const refused = (options: MongoStorage.Options) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.provide(JobStorage, MongoStorage.layer(options)))
      assert.strictEqual(error._tag, "StorageError")
      assert.strictEqual(error.operation, "open")
      assert.notInclude(`${error.message} ${error.stack} ${error.cause} ${JSON.stringify(error)}`, secret)
      return error
    }).pipe(Effect.timeout("10 seconds"))

  it.live("a host that is not there is a transient error in bounded time", () =>
    Effect.gen(function* () {
      const error = yield* refused({ url: `mongodb://nobody:${secret}@127.0.0.1:1/none` })
      assert.isTrue(error.isTransient)
      assert.include(error.message, "127.0.0.1:1")
    })
  )

  it.live("refused credentials are an error that does not go away", () =>
    Effect.gen(function* () {
      const error = yield* refused({ url: url.replace(/\/\/(.*@)?/, `//nobody:${secret}@`) })
      assert.isFalse(error.isTransient)
      assert.include(error.message, "AuthenticationFailed")
    })
  )

  it.live("a URL that cannot be read is an error that does not repeat it", () =>
    Effect.gen(function* () {
      for (const bad of [`mongodb://nobody:${secret}@@h::x/y`, `http://nobody:${secret}@h`, secret]) {
        assert.isFalse((yield* refused({ url: bad })).isTransient)
      }
    })
  )

  it.effect("refuses options outside their rules", () =>
    Effect.sync(() => {
      assert.throws(() => MongoStorage.layer({ url, prefix: "a$" }), /prefix/)
      assert.throws(() => MongoStorage.layer({ url, database: "a b" }), /database/)
      assert.throws(() => MongoStorage.layer({ url, maxConnections: 1 }), /maxConnections/)
      assert.throws(() => MongoStorage.layer({ url, connectTimeout: -1 }), /connectTimeout/)
    })
  )

  it.live("layerConfig reads the options; the prefix names the collections", () => {
    const database = fresh()
    const layer = MongoStorage.layerConfig({
      url: Config.redacted("MONGO_URL"),
      database: Config.string("MONGO_DATABASE"),
      prefix: Config.succeed("mine_")
    })
    return Effect.gen(function* () {
      const storage = yield* JobStorage
      const client = yield* MongoStorage.Client
      const made = job()
      yield* storage.insert([made])
      const found = yield* Effect.promise(() => client.db(database).collection("mine_jobs").find({}).toArray())
      assert.deepStrictEqual(
        found.map((one) => String(one._id)),
        [made.id]
      )
    }).pipe(
      Effect.provide(layer),
      Effect.withConfigProvider(
        ConfigProvider.fromMap(
          new Map([
            ["MONGO_URL", url],
            ["MONGO_DATABASE", database]
          ])
        )
      )
    )
  })

  it.live("ten starters at once", () => {
    const layer = MongoStorage.layer({ url, database: fresh(), maxConnections: 3 })
    return Effect.gen(function* () {
      yield* Effect.forEach(
        Array.from({ length: 10 }),
        () => Effect.flatMap(JobStorage, (storage) => storage.insert([job()])).pipe(Effect.provide(layer)),
        { concurrency: "unbounded" }
      )
      const counts = yield* Effect.flatMap(JobStorage, (storage) => storage.counts).pipe(Effect.provide(layer))
      assert.deepStrictEqual(counts, [{ queue: "default", state: "pending", count: 10 }])
    })
  })
})

describe("MongoStorage: what it sends", () => {
  const counted = (server: Fixture) => {
    const seen: Array<string> = []
    server.onCommand = (name, command) => {
      if (name === "hello" || name === "ismaster" || name === "getMore" || name === "endSessions") return
      seen.push(name)
      if (name === "find" || name === "aggregate") assert.deepInclude(command.readConcern, { level: "majority" })
      else if (name !== "killCursors") assert.deepInclude(command.writeConcern, { w: "majority" })
    }
    return seen
  }

  it.live("batches are a few commands, whatever their size; each read and write is by majority", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage
      const seen = counted(set)
      const sent = <A, E>(effect: Effect.Effect<A, E>) =>
        Effect.map(effect, (answer) => ({ answer, commands: seen.splice(0) }))
      const inserted = yield* sent(storage.insert(Array.from({ length: 500 }, () => job())))
      assert.deepStrictEqual(inserted.commands, ["update"])
      const claimed = yield* sent(claim(storage, 400))
      assert.deepStrictEqual(claimed.commands, ["find", "find", "update", "find"])
      const one = yield* sent(claim(storage, 1))
      assert.deepStrictEqual(one.commands, ["find", "findAndModify"])
      const held = claimed.answer
      assert.deepStrictEqual((yield* sent(storage.renew(held, 60_000))).commands, ["update", "find"])
      const outcomes = held.map(({ id, token }) => ({ id, token, to: "release" }) as const)
      const settled = yield* sent(storage.settle(outcomes))
      assert.isTrue(settled.answer.every((accepted) => accepted))
      assert.deepStrictEqual(settled.commands, ["update"])
      assert.deepStrictEqual((yield* sent(storage.promote(100))).commands, ["find"])
      assert.deepStrictEqual((yield* sent(storage.cancel(ids(held)))).commands, ["update", "find"])
      assert.deepStrictEqual((yield* sent(storage.rerun(ids(held)))).commands, ["update", "find"])
      assert.deepStrictEqual((yield* sent(storage.remove(ids(held)))).commands, ["find", "delete", "find"])
      set.onCommand = () => {}
    }).pipe(Effect.provide(MongoStorage.layer({ url: set.url, database: fresh() })))
  )
})

describe("MongoStorage: lost replies and lost connections", () => {
  /** A single server: the driver repeats no write there by itself, so all repeats are the library's. */
  const layer = (database: string) => MongoStorage.layer({ url: single.url, database, changeStreams: false })
  const again = <A>(effect: Effect.Effect<A, StorageError>) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(effect)
      assert.strictEqual(error._tag, "StorageError")
      assert.isTrue(error.isTransient)
      return yield* effect
    })
  const lose = (command: string, collection: string, kind: Fault["kind"] = "lostReply") =>
    Effect.sync(() => {
      single.faults.push({ command, kind, when: (sent) => sent[command] === collection })
    })

  it.live("an insert, a settle and a cancel may be repeated", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage
      const made = Array.from({ length: 5 }, () => job())
      yield* lose("update", "dbjobq_jobs")
      const answers = yield* again(storage.insert(made))
      assert.isTrue(answers.every(({ answer, created }) => answer === "inserted" && !created))
      const held = yield* claim(storage, 5)
      const outcomes = held.map(({ id, token }) => ({ id, token, to: "complete", result: "1" }) as const)
      yield* lose("update", "dbjobq_jobs")
      assert.deepStrictEqual(yield* again(storage.settle(outcomes)), [true, true, true, true, true])
      const waiting = job()
      yield* storage.insert([waiting])
      yield* lose("update", "dbjobq_jobs")
      assert.deepStrictEqual(yield* again(storage.cancel([waiting.id])), ["cancelled"])
    }).pipe(Effect.provide(layer(fresh())))
  )

  it.live("a claim whose reply is lost finds what it took", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage
      const made = Array.from({ length: 5 }, () => job())
      yield* storage.insert(made)
      yield* lose("update", "dbjobq_jobs")
      const held = yield* claim(storage, 10)
      assert.deepStrictEqual(ids(held), ids(made))
      assert.isTrue(held.every(({ attempt, token }) => attempt === 1 && token === 1))
    }).pipe(Effect.provide(layer(fresh())))
  )

  it.live("what the server refuses in the middle of an insert takes the rest of the call with it", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage
      const made = Array.from({ length: 4 }, () => job())
      const refusal = { statement: 2, failure: new Failure(121, "DocumentValidationFailure", "refused") }
      yield* lose("update", "dbjobq_jobs", refusal)
      const error = yield* Effect.flip(storage.insert(made))
      assert.isFalse(error.isTransient)
      assert.deepStrictEqual(yield* storage.get(ids(made)), [])
    }).pipe(Effect.provide(layer(fresh())))
  )

  it.live("a due time beyond all dates is the last of them", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage
      const made = [job({ due: { runAt: 1e300 } }), job({ due: { delay: 1e300 } })]
      yield* storage.insert(made)
      const rows = yield* storage.get(ids(made))
      assert.isTrue(rows.every((row) => row.state === "scheduled" && row.runAt > 7e15))
    }).pipe(Effect.provide(layer(fresh())))
  )

  it.live("a fire that is cut at any step is finished by the next look for due schedules, once", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage
      let slot = 60_000
      yield* storage.putSchedules([schedule()])
      const steps = [
        ["update", "dbjobq_schedules", "lostReply"],
        ["update", "dbjobq_jobs", "lostRequest"],
        ["update", "dbjobq_jobs", "lostReply"],
        ["update", "dbjobq_jobs", new Failure(2, "BadValue", "refused")]
      ] as const
      for (const [command, collection, kind] of steps) {
        yield* lose(command, collection, kind)
        yield* Effect.flip(storage.fire([fireOf(slot)]))
        assert.deepStrictEqual(yield* storage.fire([fireOf(slot)]), [{ answer: "stale" }])
        yield* Effect.all([storage.dueSchedules(10), storage.dueSchedules(10)], { concurrency: 2 })
        const [row] = yield* storage.getSchedules(["s"])
        assert.deepInclude(row, { lastSlot: slot, lastJob: `s-${slot}`, fired: slot / 60_000, skipped: 0 })
        slot += 60_000
        assert.strictEqual(row?.next, slot)
      }
      // the cursor never moved: the whole fire is there to be done again
      yield* lose("update", "dbjobq_schedules", "lostRequest")
      yield* Effect.flip(storage.fire([fireOf(slot)]))
      assert.deepStrictEqual(yield* storage.fire([fireOf(slot)]), [{ answer: "fired", jobs: 1 }])
      const jobs = yield* storage.list({ filter: { names: ["mail"] }, limit: 100 })
      assert.strictEqual(jobs.length, 5)
    }).pipe(Effect.provide(layer(fresh())))
  )

  it.live("an overlap is judged with the fires that another process has left unfinished", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage
      yield* storage.putSchedules([schedule({ overlap: "skip" })])
      yield* lose("update", "dbjobq_jobs", "lostRequest")
      yield* Effect.flip(storage.fire([fireOf(60_000, { overlap: "skip" })]))
      const answer = yield* storage.fire([fireOf(120_000, { overlap: "skip" })])
      assert.deepStrictEqual(answer, [{ answer: "fired", jobs: 0 }])
      const [row] = yield* storage.getSchedules(["s"])
      assert.deepInclude(row, { lastSlot: 60_000, fired: 1, skipped: 1, lastSkipReason: "overlap" })
    }).pipe(Effect.provide(layer(fresh())))
  )

  it.live("a schedule is removed with its begun fire finished first", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage
      yield* storage.putSchedules([schedule()])
      yield* lose("update", "dbjobq_jobs", "lostRequest")
      yield* Effect.flip(storage.fire([fireOf(60_000)]))
      assert.deepStrictEqual(yield* storage.removeSchedules(["s"]), [true])
      assert.deepStrictEqual(ids(yield* storage.get(["s-60000"])), ["s-60000"])
    }).pipe(Effect.provide(layer(fresh())))
  )

  it.live("a write whose confirmation by the majority is missing is transient: its repeat finds it", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage
      const made = job({ uniqueKey: "u" })
      yield* storage.insert([made])
      const free = job()
      yield* lose("update", "dbjobq_jobs", "unconfirmed")
      const answers = yield* again(storage.insert([job({ uniqueKey: "u" }), free]))
      assert.deepStrictEqual(answers, [
        { id: made.id, answer: "duplicate", created: false },
        { id: free.id, answer: "inserted", created: false }
      ])
    }).pipe(Effect.provide(layer(fresh())))
  )

  it.live(
    "a server that goes away is a transient error; when it is back, a worker resumes",
    () =>
      Effect.gen(function* () {
        const server = yield* Effect.acquireRelease(
          Effect.promise(() => startFixture({ replicaSet: true })),
          (one) => Effect.promise(() => one.stop())
        )
        const storage = MongoStorage.layer({ url: server.url, database: fresh(), connectTimeout: "1 second" })
        const Echo = Job.make("Echo", { payload: { text: Schema.String }, success: Schema.String })
        const echo = Echo.toLayer(({ text }) => Effect.succeed(text))
        yield* Effect.gen(function* () {
          yield* Worker.make([Echo], { pollInterval: 100, maxPollInterval: 200 }).pipe(Effect.provide(echo))
          const first = yield* JobQueue.enqueue(Echo, { text: "before" })
          assert.strictEqual(yield* JobQueue.join(Echo, first), "before")
          yield* Effect.promise(() => server.stop())
          const raw = yield* JobStorage
          const error = yield* Effect.flip(raw.insert([job()]))
          assert.deepInclude(error, { _tag: "StorageError", operation: "insert", isTransient: true })
          yield* Effect.promise(() => server.start())
          const second = yield* JobQueue.enqueue(Echo, { text: "after" })
          assert.strictEqual(yield* JobQueue.join(Echo, second), "after")
        }).pipe(Effect.scoped, Effect.provide(JobQueue.layer.pipe(Layer.provideMerge(storage))))
      }).pipe(Effect.scoped),
    60_000
  )
})

describe("MongoStorage: change streams", () => {
  it.live("tell of what became due and of schedules, also after the connection was cut", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage
      const heard = yield* Queue.unbounded<string>()
      yield* Effect.forkScoped(Stream.runForEach(storage.wakeups, (wakeup) => Queue.offer(heard, wakeup)))
      assert.deepStrictEqual([yield* Queue.take(heard), yield* Queue.take(heard)], ["jobs", "schedules"])
      const later = job({ due: { delay: 60_000 } })
      yield* storage.insert([later])
      yield* storage.putSchedules([schedule()])
      assert.strictEqual(yield* Queue.take(heard), "schedules", "not of a job that is due later")
      yield* storage.insert([job()])
      assert.strictEqual(yield* Queue.take(heard), "jobs")
      yield* storage.reschedule([later.id], { delay: 0 })
      assert.strictEqual(yield* Queue.take(heard), "jobs")
      if (real === undefined) set.cut()
      yield* storage.enableSchedules([{ id: "s", enabled: false, next: null }]).pipe(Effect.retry({ times: 3 }))
      assert.strictEqual(yield* Queue.take(heard), "schedules")
    }).pipe(Effect.scoped, Effect.timeout("30 seconds"), Effect.provide(MongoStorage.layer({ url, database: fresh() })))
  )

  it.live("are not there on a single server", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage
      assert.strictEqual(storage.capabilities.wakeups, "none")
      const fiber = yield* Effect.fork(Stream.runDrain(storage.wakeups))
      yield* storage.insert([job()])
      assert.isTrue((yield* Fiber.poll(fiber))._tag === "None")
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(MongoStorage.layer({ url: single.url, database: fresh() })))
  )
})

describe("MongoStorage: sessions", () => {
  it.live("what is enqueued with a session is there if and only if its transaction commits", () => {
    const database = fresh()
    return Effect.gen(function* () {
      const storage = yield* JobStorage
      const client = yield* MongoStorage.Client
      const kept = [job({ uniqueKey: "k" }), job({ uniqueKey: "k" }), job()]
      const lost = job()
      const session = client.startSession()
      yield* Effect.addFinalizer(() => Effect.promise(() => session.endSession()))
      const within = MongoStorage.withSession(session)
      session.startTransaction()
      const answers = yield* within(storage.insert(kept))
      assert.deepStrictEqual(
        answers.map(({ answer }) => answer),
        ["inserted", "duplicate", "inserted"]
      )
      // neither a conflict nor a repeat ends the transaction
      const [conflict, repeat] = yield* within(storage.insert([job({ uniqueKey: "k" }), kept[2] ?? lost]))
      assert.deepStrictEqual(
        [conflict?.answer, repeat],
        ["duplicate", { id: kept[2]?.id, answer: "inserted", created: false }]
      )
      assert.deepStrictEqual(yield* storage.get(ids(kept)), [], "nobody sees them before the commit")
      yield* Effect.promise(() => session.commitTransaction())
      assert.strictEqual((yield* storage.get(ids(kept))).length, 2)
      session.startTransaction()
      yield* within(storage.insert([lost]))
      yield* Effect.promise(() => session.abortTransaction())
      assert.deepStrictEqual(yield* storage.get([lost.id]), [])
    }).pipe(Effect.scoped, Effect.provide(MongoStorage.layer({ url, database })))
  })

  it.live("a conflict with another writer ends the transaction, and no repeat inside of it is asked for", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage
      const client = yield* MongoStorage.Client
      const one = client.startSession()
      const other = client.startSession()
      yield* Effect.addFinalizer(() => Effect.promise(() => Promise.all([one.endSession(), other.endSession()])))
      const made = job()
      one.startTransaction()
      other.startTransaction()
      yield* MongoStorage.withSession(one)(storage.insert([made]))
      const error = yield* Effect.flip(MongoStorage.withSession(other)(storage.insert([made])))
      assert.deepInclude(error, { _tag: "StorageError", operation: "insert", isTransient: false })
      yield* Effect.promise(() => one.commitTransaction())
      assert.deepStrictEqual(ids(yield* storage.get([made.id])), [made.id])
    }).pipe(Effect.scoped, Effect.provide(MongoStorage.layer({ url, database: fresh() })))
  )
})

describe("the fixture", () => {
  it.live("refuses by name what it does not implement", () =>
    Effect.gen(function* () {
      const client = new MongoClient(set.url)
      yield* Effect.addFinalizer(() => Effect.promise(() => client.close()))
      const jobs = client.db(fresh()).collection("jobs")
      const refusal = (ask: () => Promise<unknown>) =>
        Effect.map(Effect.flip(Effect.tryPromise({ try: ask, catch: String })), (error) => error)
      yield* Effect.promise(() => jobs.insertOne({ a: 1 }))
      assert.include(yield* refusal(() => jobs.distinct("a")), "distinct")
      assert.include(yield* refusal(() => jobs.find({ a: { $mod: [2, 1] } }).toArray()), "$mod")
      assert.include(yield* refusal(() => jobs.find({}, { hint: "x" }).toArray()), "find.hint")
      assert.include(yield* refusal(() => jobs.updateOne({}, { $mul: { a: 2 } })), "$mul")
      assert.include(yield* refusal(() => jobs.updateOne({}, { $set: { "a.b": 2 } })), "a.b")
      assert.include(yield* refusal(() => jobs.updateOne({}, [{ $set: { a: { $sqrt: 4 } } }])), "$sqrt")
      assert.include(yield* refusal(() => jobs.aggregate([{ $lookup: {} }]).toArray()), "$lookup")
      assert.include(yield* refusal(() => jobs.createIndex({ a: 1 }, { sparse: true })), "sparse")
    }).pipe(Effect.scoped)
  )
})
