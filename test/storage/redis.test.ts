import { createServer } from "node:net"
import { inspect } from "node:util"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Job from "../../src/Job.js"
import type { StorageError } from "../../src/JobError.js"
import * as JobQueue from "../../src/JobQueue.js"
import { JobStorage, type Wakeup } from "../../src/JobStorage.js"
import * as RedisStorage from "../../src/storage/RedisStorage.js"
import { storageContract } from "../../src/testing/contract.js"
import { storageModel } from "../../src/testing/model.js"
import * as Worker from "../../src/Worker.js"
import { job } from "./jobs.js"
import { canStart, dropKeys, randomPrefix, redis, start, startCluster, withClient } from "./redisServer.js"
import { turnsSuite } from "./turns.js"

const url = await redis()
const prefixes: Array<string> = []
const fresh = () => {
  const prefix = randomPrefix()
  prefixes.push(prefix)
  return prefix
}

afterAll(async () => {
  if (url !== undefined) for (const prefix of prefixes) await dropKeys(url, prefix)
})

const claimAll = { names: ["mail"], limit: 1000, owner: "w", lease: 60_000 }

/** Builds the layer, and gives up with the test's own words when that takes too long. */
const refusal = (options: RedisStorage.Options): Effect.Effect<StorageError> =>
  Effect.flip(Effect.provide(JobStorage, RedisStorage.layer(options))).pipe(
    Effect.timeout("10 seconds"),
    Effect.orDieWith(() => "the layer neither failed nor succeeded within 10 s"),
    Effect.catchAllDefect((defect) => Effect.dieMessage(`expected a StorageError: ${String(defect)}`))
  )

if (url === undefined) describe.skip("Redis: no server", () => {})
else {
  storageContract("Redis", RedisStorage.layer({ url, prefix: fresh() }))
  storageContract("Redis, Effect's clock", RedisStorage.layer({ url, prefix: fresh(), clock: "effect" }))
  turnsSuite("RedisStorage", () => RedisStorage.layer({ url, prefix: fresh() }))
  storageModel("Redis", RedisStorage.layer({ url, prefix: fresh() }))
  storageModel("Redis, Effect's clock", RedisStorage.layer({ url, prefix: fresh(), clock: "effect" }))

  describe("RedisStorage", () => {
    it.live("a delayed high-priority job never hides ready ones", () =>
      Effect.gen(function* () {
        const storage = yield* JobStorage
        const ready = job({ priority: -5 })
        yield* storage.insert([
          ...Array.from({ length: 50 }, () => job({ priority: 99, due: { delay: 60_000 } })),
          ready,
          job({ priority: 99, queue: "paused" })
        ])
        yield* storage.pauseQueue("paused")
        const rows = yield* storage.claim({ ...claimAll, limit: 1 })
        assert.deepStrictEqual(
          rows.map((row) => row.id),
          [ready.id]
        )
      }).pipe(Effect.provide(RedisStorage.layer({ url, prefix: fresh() })))
    )

    it.live("many names in many queues are one order, also before 1970", () =>
      Effect.gen(function* () {
        const storage = yield* JobStorage
        const names = ["a", "b", "c", "é"]
        const jobs = Array.from({ length: 400 }, (_, at) =>
          job({
            name: names[at % 4] ?? "",
            queue: `q${at % 7}`,
            priority: (at % 3) - 1,
            due: { runAt: (at * 7919) % 11 === 0 ? -5 : ((at * 104_729) % 50) - 25 }
          })
        )
        yield* storage.insert(jobs)
        const dueOf = (one: (typeof jobs)[number]) => ("runAt" in one.due ? one.due.runAt : 0)
        const expected = [...jobs].sort(
          (x, y) => y.priority - x.priority || dueOf(x) - dueOf(y) || (x.id < y.id ? -1 : 1)
        )
        const taken: Array<string> = []
        for (const limit of [1, 3, 50, 7, 339]) {
          const rows = yield* storage.claim({ ...claimAll, names, limit })
          taken.push(...rows.map((row) => row.id))
        }
        assert.deepStrictEqual(
          taken,
          expected.map((one) => one.id)
        )
      }).pipe(Effect.provide(RedisStorage.layer({ url, prefix: fresh() })))
    )

    it.live("two storages on one prefix share jobs, on two they do not", () =>
      Effect.gen(function* () {
        const prefix = fresh()
        const insert = Effect.flatMap(JobStorage, (storage) => storage.insert([job()]))
        const counts = Effect.flatMap(JobStorage, (storage) => storage.counts)
        yield* Effect.provide(insert, RedisStorage.layer({ url, prefix }))
        assert.strictEqual((yield* Effect.provide(counts, RedisStorage.layer({ url, prefix })))[0]?.count, 1)
        assert.deepStrictEqual(yield* Effect.provide(counts, RedisStorage.layer({ url, prefix: fresh() })), [])
      })
    )

    it.live("10,000 jobs are one write, and a job that does not fit undoes none", () =>
      Effect.gen(function* () {
        const storage = yield* JobStorage
        assert.strictEqual(storage.capabilities.limits.atomicInsert, 10_000)
        const many = Array.from({ length: 10_000 }, () => job())
        assert.isTrue((yield* storage.insert(many)).every((answer) => answer.created))
        const bad = [job({ queue: "bad" }), job({ queue: "bad", maxAttempts: Number.NaN })]
        assert.isFalse((yield* Effect.flip(storage.insert(bad))).isTransient)
        assert.deepStrictEqual(yield* storage.counts, [{ queue: "default", state: "pending", count: 10_000 }])
        // more than that is written in parts, and answered as one
        const more = Array.from({ length: 10_001 }, () => job({ queue: "more", due: { delay: 60_000 } }))
        assert.strictEqual((yield* storage.insert(more)).length, 10_001)
      }).pipe(Effect.provide(RedisStorage.layer({ url, prefix: fresh() })))
    )

    it.live("scripts that Redis forgot are sent again", () =>
      Effect.gen(function* () {
        const storage = yield* JobStorage
        yield* storage.insert([job()])
        yield* withClient(url, (client) => client.script("FLUSH"))
        yield* storage.insert([job()])
        assert.strictEqual((yield* storage.claim(claimAll)).length, 2)
      }).pipe(Effect.provide(RedisStorage.layer({ url, prefix: fresh() })))
    )

    it.live("a job whose hash is gone stops no other", () => {
      const prefix = fresh()
      return Effect.gen(function* () {
        const storage = yield* JobStorage
        const jobs = Array.from({ length: 4 }, () => job())
        const late = Array.from({ length: 2 }, () => job({ due: { delay: 1 } }))
        yield* storage.insert([...jobs, ...late])
        const lose = (id: string) => withClient(url, (client) => client.del(`{${prefix}}:job:${id}`))
        yield* lose(jobs[0]?.id ?? "")
        yield* lose(late[0]?.id ?? "")
        yield* Effect.sleep(5)
        yield* storage.promote(10)
        const rows = yield* storage.claim({ ...claimAll, lease: 1 })
        assert.strictEqual(rows.length, 4)
        yield* lose(rows[0]?.id ?? "")
        yield* Effect.sleep(5)
        yield* storage.sweep({ limit: 10, crashLimit: 9, crashFailure: "{}", retention: {} })
        const again = yield* storage.claim(claimAll)
        assert.strictEqual(again.length, 3)
        yield* storage.settle(again.map(({ id, token }) => ({ id, token, to: "complete", result: null })))
        yield* lose(again[0]?.id ?? "")
        yield* storage.prune(["completed"], -1_000, 10)
        assert.deepStrictEqual(yield* storage.list({ filter: {}, limit: 10 }), [])
      }).pipe(Effect.provide(RedisStorage.layer({ url, prefix })))
    })

    it.live("a rare tag or state is found beyond the first thousand", () =>
      Effect.gen(function* () {
        const storage = yield* JobStorage
        const id = (at: number) => `id-${String(at).padStart(5, "0")}`
        yield* storage.insert(
          Array.from({ length: 3_500 }, (_, at) =>
            job({ id: id(at), tags: at % 1_500 === 1_400 ? [","] : ["a", "b"], payload: "[]" })
          )
        )
        yield* storage.cancel([id(3_400)])
        const ids = (filter: Parameters<typeof storage.list>[0]["filter"], after?: string) =>
          Effect.map(storage.list({ filter, after, limit: 10 }), (rows) => rows.map((row) => row.id))
        assert.deepStrictEqual(yield* ids({ tag: "," }), [id(1_400), id(2_900)])
        assert.deepStrictEqual(yield* ids({ states: ["cancelled"] }), [id(3_400)])
        assert.deepStrictEqual(yield* ids({ states: ["cancelled"] }, id(3_400)), [])
        assert.strictEqual((yield* ids({}, id(3_490))).length, 9)
      }).pipe(Effect.provide(RedisStorage.layer({ url, prefix: fresh() })))
    )

    it.live("an unreachable host, a wrong scheme and a TLS refusal are StorageErrors in bounded time", () =>
      Effect.gen(function* () {
        const down = yield* refusal({ url: Redacted.make("redis://user:secret@127.0.0.1:1") })
        assert.isTrue(down.isTransient)
        assert.include(down.message, "ECONNREFUSED")
        const away = yield* refusal({ url: "redis://:secret@192.0.2.1", connectTimeout: "1 second" })
        assert.isTrue(away.isTransient)
        const silent = yield* Effect.acquireRelease(
          Effect.async<{ readonly port: number; readonly close: () => void }>((resume) => {
            const server = createServer(() => {})
            server.listen(0, "127.0.0.1", () => {
              const address = server.address()
              const port = typeof address === "object" && address !== null ? address.port : 0
              resume(Effect.succeed({ port, close: () => server.close() }))
            })
          }),
          ({ close }) => Effect.sync(close)
        )
        const mute = yield* refusal({ url: `redis://:secret@127.0.0.1:${silent.port}`, connectTimeout: "1 second" })
        assert.isTrue(mute.isTransient)
        const tls = yield* refusal({ url: `${url.replace("redis:", "rediss:")}`, connectTimeout: "3 seconds" })
        const cluster = yield* refusal({ url: "redis://:secret@127.0.0.1:1", cluster: true })
        assert.isTrue(cluster.isTransient)
        const scheme = yield* refusal({ url: "http://:secret@127.0.0.1" })
        assert.isFalse(scheme.isTransient)
        for (const error of [down, away, mute, tls, cluster, scheme]) {
          assert.strictEqual(error._tag, "StorageError")
          assert.notInclude(inspect(error, { depth: 9 }), "secret")
        }
      }).pipe(Effect.scoped)
    )

    it.live("options from the configuration; options outside their rules", () =>
      Effect.gen(function* () {
        const layer = RedisStorage.layerConfig({
          url: Config.redacted("REDIS_URL"),
          prefix: Config.string("REDIS_PREFIX")
        })
        const provider = ConfigProvider.fromMap(
          new Map([
            ["REDIS_URL", url],
            ["REDIS_PREFIX", fresh()]
          ])
        )
        const { capabilities } = yield* Effect.provide(JobStorage, layer).pipe(Effect.withConfigProvider(provider))
        assert.deepInclude(capabilities, { storage: "redis", transactional: false, storeClock: true, durable: true })
        assert.throws(() => RedisStorage.layer({ url, prefix: "a}b" }), /prefix/)
        assert.throws(() => RedisStorage.layer({ url, replicas: -1 }), /replicas/)
        assert.throws(() => RedisStorage.layer({ url, maxWaiting: 0 }), /maxWaiting/)
        assert.throws(() => RedisStorage.layer({ url, connectTimeout: "1 minute" }), /connectTimeout/)
        assert.throws(() => RedisStorage.layer({ url, replicaTimeout: "6 seconds" }), /replicaTimeout/)
      })
    )
  })
}

if (!canStart) describe.skip("Redis servers of the tests' own: no redis-server", () => {})
else {
  const cluster = (prefix: string, over: Partial<RedisStorage.Options> = {}) =>
    Layer.unwrapScoped(
      Effect.map(startCluster(), (server) => RedisStorage.layer({ url: server.url, cluster: true, prefix, ...over }))
    )
  // a script that declares its kind is refused by a cluster as soon as it touches a key of another slot
  storageContract("Redis Cluster", cluster("one"))
  storageModel("Redis Cluster", cluster("two"))

  describe("RedisStorage on Redis Cluster", () => {
    it.live("a script that reached for another slot would be refused", () =>
      Effect.gen(function* () {
        const server = yield* startCluster()
        const answer = yield* withClient(server.url, (client) =>
          client
            .eval("#!lua\nredis.call('GET', KEYS[1]) return redis.call('GET', '{b}:1')", 1, "{a}:1")
            .then(String, String)
        )
        assert.include(answer, "do not hash to the same slot")
      }).pipe(Effect.scoped)
    )

    it.live(
      "wake-ups, replicas, and a node that comes back",
      () =>
        Effect.gen(function* () {
          const server = yield* startCluster("--appendonly", "yes", "--appendfsync", "always")
          const layer = RedisStorage.layer({ url: server.url, cluster: true, commandTimeout: "2 seconds" })
          const storage = yield* Effect.map(Layer.build(layer), (context) => context).pipe(
            Effect.flatMap((context) => Effect.provide(JobStorage, context))
          )
          const heard = yield* Queue.unbounded<Wakeup>()
          yield* Effect.forkScoped(Stream.runForEach(storage.wakeups, (wakeup) => Queue.offer(heard, wakeup)))
          yield* Queue.take(heard)
          yield* Queue.take(heard)
          yield* Effect.sleep(300)
          yield* Queue.takeAll(heard)
          yield* storage.insert([job()])
          assert.strictEqual(yield* Queue.take(heard), "jobs")
          yield* server.kill
          const lost = yield* Effect.flip(storage.insert([job()]))
          assert.isTrue(lost.isTransient, lost.message)
          yield* server.start
          yield* Effect.retry(storage.insert([job()]), Schedule.spaced("100 millis"))
          assert.strictEqual((yield* storage.claim(claimAll)).length >= 2, true)
        }).pipe(Effect.scoped, Effect.timeout("25 seconds")),
      40_000
    )
  })

  describe("RedisStorage and its server", () => {
    it.live("starts only where Redis evicts nothing, unless told otherwise", () =>
      Effect.gen(function* () {
        const server = yield* start("--maxmemory-policy", "allkeys-lru")
        const error = yield* refusal({ url: server.url })
        assert.isFalse(error.isTransient)
        assert.include(error.message, "allkeys-lru")
        assert.include(error.message, "noeviction")
        yield* Effect.provide(JobStorage, RedisStorage.layer({ url: server.url, allowEviction: true }))
      }).pipe(Effect.scoped)
    )

    it.live("wrong credentials are a StorageError without the password", () =>
      Effect.gen(function* () {
        const server = yield* start("--requirepass", "right")
        for (const cluster of [false, true]) {
          for (const who of ["", "user:secret@", ":secret@"]) {
            const error = yield* refusal({ url: `redis://${who}127.0.0.1:${server.port}`, cluster })
            assert.strictEqual(error._tag, "StorageError")
            assert.isFalse(error.isTransient, error.message)
            assert.match(error.message, /NOAUTH|WRONGPASS/)
            assert.notInclude(inspect(error, { depth: 9 }), "secret")
          }
        }
        yield* Effect.provide(JobStorage, RedisStorage.layer({ url: server.url }))
      }).pipe(Effect.scoped)
    )

    it.live("a user with no more rights than docs/redis.md lists", () =>
      Effect.gen(function* () {
        const server = yield* start()
        const rules =
          "on >pw ~{own}:* &{own}:wakeups +eval +evalsha +info +ping +subscribe +wait +@hash +@sortedset +@set +time +publish +exists +del +unlink"
        yield* withClient(server.url, (client) => client.call("acl", "setuser", "jobs", ...rules.split(" ")))
        const options = { url: `redis://jobs:pw@127.0.0.1:${server.port}` }
        yield* Effect.gen(function* () {
          const storage = yield* JobStorage
          yield* storage.insert([job({ uniqueKey: "k" }), job({ due: { delay: 1 } })])
          yield* Effect.sleep(5)
          yield* storage.promote(10)
          const rows = yield* storage.claim(claimAll)
          yield* storage.renew(rows, 1)
          yield* storage.settle(rows.slice(1).map(({ id, token }) => ({ id, token, to: "complete", result: null })))
          yield* Effect.sleep(5)
          const swept = yield* storage.sweep({
            limit: 9,
            crashLimit: 1,
            crashFailure: "{}",
            retention: { completed: 0 }
          })
          assert.deepInclude(swept, { ended: 1, removed: 1 })
          yield* storage.pauseQueue("q")
          yield* storage.resumeQueue("q")
          assert.deepStrictEqual(yield* storage.removeSchedules(["none"]), [false])
          const told = yield* Stream.runCollect(Stream.take(storage.wakeups, 2))
          assert.strictEqual(told.length, 2)
        }).pipe(Effect.provide(RedisStorage.layer({ ...options, prefix: "own" })))
        const other = yield* refusal({ ...options, prefix: "other" })
        assert.include(other.message, "NOPERM")
      }).pipe(Effect.scoped, Effect.timeout("20 seconds"))
    )

    it.live(
      "a server that hangs: operations end at their deadline, waiting is bounded, and all goes on later",
      () =>
        Effect.gen(function* () {
          const server = yield* start()
          const layer = RedisStorage.layer({
            url: server.url,
            commandTimeout: "1 second",
            maxWaiting: 5,
            groupCommit: false
          })
          yield* Effect.gen(function* () {
            const storage = yield* JobStorage
            yield* storage.insert([job()])
            yield* server.signal("SIGSTOP")
            const from = Date.now()
            const hung = yield* Effect.flip(storage.insert([job()]))
            assert.isTrue(hung.isTransient, hung.message)
            assert.isBelow(Date.now() - from, 2_500)
            // the connection is given up, and what follows waits for a new one that does not come
            yield* Effect.sleep(300)
            const errors = yield* Effect.forEach(
              Array.from({ length: 20 }),
              () => Effect.flip(storage.insert([job()])),
              { concurrency: "unbounded" }
            )
            assert.isTrue(errors.every((error) => error.isTransient))
            assert.isAtLeast(errors.filter((error) => error.message.includes("5 commands wait")).length, 1)
            yield* server.signal("SIGCONT")
            yield* Effect.retry(storage.insert([job()]), Schedule.spaced("100 millis"))
          }).pipe(Effect.provide(layer))
        }).pipe(Effect.scoped, Effect.timeout("20 seconds")),
      30_000
    )

    it.live(
      "a server that is killed: transient errors, then wake-ups and a worker go on",
      () =>
        Effect.gen(function* () {
          const server = yield* start("--appendonly", "yes", "--appendfsync", "always")
          const ran = yield* Queue.unbounded<string>()
          const Mail = Job.make("mail")
          const live = Mail.toLayer(() => Effect.flatMap(Job.CurrentJob, ({ id }) => Queue.offer(ran, id)))
          const main = Worker.layer([Mail], { maxPollInterval: "10 seconds", pollInterval: "10 seconds" }).pipe(
            Layer.provide(live),
            Layer.provideMerge(JobQueue.layer),
            Layer.provideMerge(RedisStorage.layer({ url: server.url, commandTimeout: "1 second" }))
          )
          yield* Effect.gen(function* () {
            const storage = yield* JobStorage
            const first = yield* JobQueue.enqueue(Mail)
            assert.strictEqual(yield* Queue.take(ran), first)
            const heard = yield* Queue.unbounded<Wakeup>()
            yield* Effect.fork(Stream.runForEach(storage.wakeups, (wakeup) => Queue.offer(heard, wakeup)))
            yield* server.kill
            const error = yield* Effect.flip(storage.counts)
            assert.strictEqual(error._tag, "StorageError")
            assert.isTrue(error.isTransient, error.message)
            yield* Queue.takeAll(heard)
            yield* server.start
            const told = Chunk.toReadonlyArray(yield* Queue.takeN(heard, 2))
            assert.sameMembers([...told], ["jobs", "schedules"])
            const second = yield* JobQueue.enqueue(Mail).pipe(Effect.retry(Schedule.spaced("100 millis")))
            assert.strictEqual(yield* Queue.take(ran), second)
            assert.strictEqual((yield* JobQueue.get(first)).attempt, 1)
          }).pipe(Effect.provide(main))
        }).pipe(Effect.scoped, Effect.timeout("30 seconds")),
      40_000
    )

    it.live("a primary that became a replica is a transient error, until there is a primary again", () =>
      Effect.gen(function* () {
        const server = yield* start()
        const replicaOf = (host: string, port: string) =>
          withClient(server.url, (client) => client.call("replicaof", host, port))
        yield* Effect.gen(function* () {
          const storage = yield* JobStorage
          yield* storage.insert([job()])
          yield* replicaOf("127.0.0.1", "1")
          const error = yield* Effect.flip(storage.insert([job()]))
          assert.isTrue(error.isTransient, error.message)
          yield* replicaOf("no", "one")
          yield* Effect.retry(storage.insert([job()]), Schedule.spaced("50 millis"))
          assert.strictEqual((yield* storage.claim(claimAll)).length, 2)
        }).pipe(Effect.provide(RedisStorage.layer({ url: server.url })))
      }).pipe(Effect.scoped, Effect.timeout("20 seconds"))
    )

    it.live("a full Redis refuses new jobs as a whole and works off those it has", () =>
      Effect.gen(function* () {
        const server = yield* start("--maxmemory", "16mb")
        yield* Effect.gen(function* () {
          const storage = yield* JobStorage
          const payload = JSON.stringify("x".repeat(1_000))
          const more = Effect.suspend(() => storage.insert(Array.from({ length: 500 }, () => job({ payload }))))
          const error = yield* Effect.flip(Effect.forever(more))
          assert.include(error.message, "OOM")
          assert.isTrue(error.isTransient)
          const [pending] = yield* storage.counts
          assert.strictEqual((pending?.count ?? 0) % 500, 0)
          const rows = yield* storage.claim(claimAll)
          assert.strictEqual(rows.length, 1000)
          const settled = yield* storage.settle(
            rows.map(({ id, token }) => ({ id, token, to: "complete", result: null }))
          )
          assert.isTrue(settled.every((accepted) => accepted))
          assert.strictEqual(yield* storage.prune(["completed"], -1_000, 1_000), 1_000)
          yield* storage.insert([job()])
        }).pipe(Effect.provide(RedisStorage.layer({ url: server.url })))
      }).pipe(Effect.scoped)
    )

    it.live("waits for replicas where that is asked for, and says when they do not answer", () =>
      Effect.gen(function* () {
        const server = yield* start()
        for (const cluster of [false, true]) {
          const primary = cluster ? yield* startCluster() : server
          yield* Effect.gen(function* () {
            const storage = yield* JobStorage
            const made = job()
            const error = yield* Effect.flip(storage.insert([made]))
            assert.isTrue(error.isTransient)
            assert.include(error.message, "0 of 1 replicas")
            // the job is there, so the repeat finds its own
            yield* Effect.flip(storage.insert([made]))
            assert.strictEqual((yield* storage.counts)[0]?.count, 1)
          }).pipe(
            Effect.provide(RedisStorage.layer({ url: primary.url, cluster, replicas: 1, replicaTimeout: "100 millis" }))
          )
        }
        yield* start("--replicaof", "127.0.0.1", String(server.port))
        yield* Effect.gen(function* () {
          const storage = yield* JobStorage
          const made = job()
          // the replica first copies what is there
          yield* Effect.retry(storage.insert([made]), Schedule.spaced("50 millis"))
          yield* withClient(server.url, (client) => client.script("FLUSH"))
          assert.deepStrictEqual(yield* storage.insert([made]), [{ id: made.id, answer: "inserted", created: false }])
        }).pipe(Effect.provide(RedisStorage.layer({ url: server.url, replicas: 1 })))
      }).pipe(Effect.scoped, Effect.timeout("25 seconds"))
    )
  })
}
