import { createServer, type Socket } from "node:net"
import { SqlClient } from "@effect/sql"
import * as MysqlClient from "@effect/sql-mysql2/MysqlClient"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Job, JobQueue, Worker } from "dbjobq"
import { Deferred, Effect, Fiber, Layer, Queue, Redacted, Schedule, Schema, Stream, Supervisor } from "effect"
import { JobStorage, Transactional, type Wakeup } from "../../src/JobStorage.js"
import * as MysqlStorage from "../../src/storage/MysqlStorage.js"
import * as SqlStorage from "../../src/storage/SqlStorage.js"
import { storageContract } from "../../src/testing/contract.js"
import { storageModel } from "../../src/testing/model.js"
import { halfOpenSuite } from "./halfOpen.js"
import { job } from "./jobs.js"
import { mysql, queryMysql } from "./servers.js"
import { sqlSuite } from "./shared.js"

const server = await mysql()

afterAll(async () => {
  await server?.stop()
})

const refused = (url: string) =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(Effect.provide(JobStorage, MysqlStorage.layer({ url })))
    assert.strictEqual(error._tag, "StorageError")
    assert.notInclude(`${error.message} ${JSON.stringify(error)} ${String(error.cause)}`, "s3cret")
    return error
  }).pipe(Effect.timeout("10 seconds"))

describe("MysqlStorage without a server", () => {
  it.live("nothing listens", () =>
    Effect.gen(function* () {
      assert.isTrue((yield* refused("mysql://nobody:s3cret@127.0.0.1:1/none")).isTransient)
    })
  )

  it.scopedLive("a server that accepts and stays silent", () =>
    Effect.gen(function* () {
      const sockets = new Set<Socket>()
      const port = yield* Effect.acquireRelease(
        Effect.async<{ readonly port: number; readonly close: () => void }>((resume) => {
          const silent = createServer((socket) => sockets.add(socket)).listen(0, "127.0.0.1", () => {
            const address = silent.address()
            const found = typeof address === "object" && address !== null ? address.port : 0
            resume(Effect.succeed({ port: found, close: () => silent.close() }))
          })
        }),
        ({ close }) =>
          Effect.sync(() => {
            for (const socket of sockets) socket.destroy()
            close()
          })
      )
      assert.isTrue((yield* refused(`mysql://nobody:s3cret@127.0.0.1:${port.port}/none`)).isTransient)
    })
  )
})

if (server === undefined) describe.skip("MySQL: no server", () => {})
else {
  storageContract("MySQL", MysqlStorage.layer({ url: await server.database() }))
  storageContract("MySQL, Effect's clock", MysqlStorage.layer({ url: await server.database(), clock: "effect" }))
  storageModel("MySQL, Effect's clock", MysqlStorage.layer({ url: await server.database(), clock: "effect" }))
  sqlSuite("MySQL", MysqlStorage.layer({ url: await server.database() }))
  sqlSuite(
    "SqlStorage on a MySQL client with transforms",
    SqlStorage.layer().pipe(
      Layer.provide(
        MysqlClient.layer({
          url: Redacted.make(await server.database()),
          transformQueryNames: (name) => name.toUpperCase(),
          transformResultNames: (name) => name.toUpperCase()
        })
      )
    )
  )

  const fresh = Effect.promise(server.database)
  const onFresh = <A, E>(
    body: Effect.Effect<A, E, JobStorage | Transactional | SqlClient.SqlClient>,
    options: Partial<MysqlStorage.Options> = {}
  ) =>
    Effect.flatMap(fresh, (url) => Effect.provide(body, MysqlStorage.layer({ url, ...options }))).pipe(
      Effect.timeout("30 seconds")
    )
  /** One connection, so that what is set for the session holds for every statement. */
  const oneConnection = (url: string) =>
    MysqlStorage.layerClient().pipe(
      Layer.provideMerge(MysqlClient.layer({ url: Redacted.make(url), maxConnections: 1 }))
    )
  const claimed = (storage: JobStorage["Type"], limit: number, owner = "w") =>
    storage.claim({ names: ["mail"], limit, owner, lease: 60_000 })

  halfOpenSuite("MysqlStorage", {
    defaultPort: 3306,
    fresh: Effect.map(fresh, (url) => ({
      url,
      table: "dbjobq_jobs",
      layer: (by, queryTimeout) => MysqlStorage.layer({ url: by, queryTimeout, maxConnections: 3 })
    })),
    sleep: (seconds) => `SELECT SLEEP(${seconds})`,
    underWay: () => `SELECT id FROM information_schema.processlist
      WHERE db = DATABASE() AND command <> 'Sleep' AND id <> CONNECTION_ID()`
  })

  describe("MysqlStorage", () => {
    it.live("ten starters at once", () =>
      Effect.gen(function* () {
        const layer = MysqlStorage.layer({ url: yield* fresh, maxConnections: 3 })
        yield* Effect.forEach(
          Array.from({ length: 10 }),
          () => Effect.flatMap(JobStorage, (storage) => storage.insert([job()])).pipe(Effect.provide(layer)),
          { concurrency: "unbounded" }
        )
        const counts = yield* Effect.flatMap(JobStorage, (storage) => storage.counts).pipe(Effect.provide(layer))
        assert.deepStrictEqual(counts, [{ queue: "default", state: "pending", count: 10 }])
      })
    )

    it.scopedLive("what was begun inside a transaction and goes on without it tells of its own commits", () =>
      Effect.gen(function* () {
        const storage = yield* JobStorage
        const { detached, withTransaction } = yield* Transactional
        const go = yield* Deferred.make<void>()
        const later = detached(Effect.zipRight(Deferred.await(go), withTransaction(storage.insert([job()]))))
        const inserting = yield* withTransaction(Effect.forkDaemon(later))
        const heard = yield* Queue.unbounded<Wakeup>()
        yield* Effect.forkScoped(Stream.runForEach(storage.wakeups, (wakeup) => Queue.offer(heard, wakeup)))
        // a new listener hears of each kind once
        yield* Queue.takeN(heard, 2)
        yield* Deferred.succeed(go, undefined)
        yield* Fiber.join(inserting)
        assert.strictEqual(yield* Effect.timeout(Queue.take(heard), "2 seconds"), "jobs")
      }).pipe(Effect.provide(Layer.unwrapEffect(Effect.map(fresh, (url) => MysqlStorage.layer({ url })))))
    )

    it.live("the printed SQL is what migrate runs", () =>
      Effect.gen(function* () {
        const url = yield* fresh
        yield* Effect.promise(() => queryMysql(url, SqlStorage.migrationSql("mysql")))
        const storage = yield* Effect.provide(JobStorage, MysqlStorage.layer({ url, migrate: false }))
        assert.deepInclude(storage.capabilities, { storage: "mysql", storeClock: true, wakeups: "hint" })
        yield* Effect.provide(JobStorage, MysqlStorage.layer({ url }))
      })
    )

    it.live("bad credentials, an unknown database and a refusal of TLS fail the layer at once", () =>
      Effect.gen(function* () {
        const url = new URL(server.url)
        url.username = "nobody"
        url.password = "s3cret"
        const denied = yield* refused(url.href)
        assert.isFalse(denied.isTransient)
        assert.include(denied.message, "Access denied")
        const unknown = new URL(server.url)
        unknown.pathname = "/dbjobq_no_such_database"
        assert.include((yield* refused(unknown.href)).message, "dbjobq_no_such_database")
        const ssl = yield* Effect.promise(() =>
          queryMysql(server.url, "SELECT 1 AS yes WHERE @@have_ssl = 'YES'").catch(() => [1])
        )
        if (ssl.length > 0) return
        const encrypted = new URL(server.url)
        encrypted.searchParams.set("ssl", "{}")
        assert.include((yield* refused(encrypted.href)).message, "secure connection")
      })
    )

    it.live("refuses a session without strict mode and a table that is not compared byte by byte", () =>
      Effect.gen(function* () {
        const url = yield* fresh
        const lax = Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          yield* sql`SET SESSION sql_mode = ''`
          return yield* Effect.flip(SqlStorage.make())
        }).pipe(Effect.provide(MysqlClient.layer({ url: Redacted.make(url), maxConnections: 1 })))
        assert.include((yield* lax).message, "strict")
        yield* Effect.provide(JobStorage, MysqlStorage.layer({ url }))
        yield* Effect.promise(() =>
          queryMysql(url, "ALTER TABLE dbjobq_queues CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        )
        const folded = yield* refused(url)
        assert.include(folded.message, "dbjobq_queues.queue")
        assert.isFalse(folded.isTransient)
      })
    )

    it.live("two pools never claim the same job", () =>
      Effect.gen(function* () {
        const url = yield* fresh
        const pool = Effect.provide(JobStorage, MysqlStorage.layer({ url }))
        const one = yield* Layer.build(MysqlStorage.layer({ url }))
        const two = yield* Layer.build(MysqlStorage.layer({ url }))
        const storages = yield* Effect.all([
          Effect.provide(JobStorage, one),
          Effect.provide(JobStorage, two),
          Effect.as(pool, undefined)
        ])
        const [a, b] = storages
        yield* a.insert(Array.from({ length: 500 }, () => job()))
        const taken = yield* Effect.forEach(
          Array.from({ length: 20 }),
          (_, at) => claimed(at % 2 === 0 ? a : b, 50, `w${at}`),
          { concurrency: 10 }
        )
        const rest = yield* claimed(a, 500)
        const ids = [...taken.flat(), ...rest].map((row) => row.id)
        assert.strictEqual(new Set(ids).size, ids.length)
        assert.strictEqual(ids.length, 500)
      }).pipe(Effect.scoped)
    )

    it.live("no claim commits after pauseQueue has returned", () =>
      onFresh(
        Effect.gen(function* () {
          const storage = yield* JobStorage
          yield* storage.insert(Array.from({ length: 2000 }, () => job()))
          const workers = yield* Effect.fork(
            Effect.all(
              Array.from({ length: 6 }, () => Effect.forever(claimed(storage, 1))),
              { concurrency: "unbounded" }
            )
          )
          const running = Effect.map(
            storage.counts,
            (counts) => counts.find((count) => count.state === "running")?.count
          )
          for (let round = 0; round < 5; round++) {
            yield* Effect.sleep(30)
            yield* storage.pauseQueue("default")
            const before = yield* running
            yield* Effect.sleep(30)
            assert.strictEqual(yield* running, before)
            yield* storage.resumeQueue("default")
          }
          yield* Fiber.interrupt(workers)
        })
      )
    )

    it.live("a refused unique key does not abort the caller's transaction, nor hide behind its snapshot", () =>
      onFresh(
        Effect.gen(function* () {
          const storage = yield* JobStorage
          const { detached } = yield* Transactional
          const sql = yield* SqlClient.SqlClient
          const first = job({ uniqueKey: "u" })
          const answers = yield* sql.withTransaction(
            Effect.gen(function* () {
              // REPEATABLE READ: this fixes what plain reads see until the end
              yield* storage.counts
              yield* detached(storage.insert([first]))
              const duplicate = yield* storage.insert([job({ uniqueKey: "u" }), job()])
              const again = yield* storage.insert([first])
              const cancelled = yield* storage.cancel([first.id])
              const next = yield* storage.insert([job({ uniqueKey: "u" })])
              const rerun = yield* storage.rerun([first.id])
              const after = yield* storage.insert([job()])
              return [
                ...[duplicate, again, next, after].flatMap((one) => one.map(({ answer }) => answer)),
                ...cancelled,
                ...rerun
              ]
            })
          )
          assert.deepStrictEqual(answers, [
            ...["duplicate", "inserted", "inserted", "inserted", "inserted"],
            ...["cancelled", "duplicate"]
          ])
          assert.deepStrictEqual(yield* storage.counts, [
            { queue: "default", state: "pending", count: 3 },
            { queue: "default", state: "cancelled", count: 1 }
          ])
        })
      )
    )

    it.live("however many enqueues are in the application's transactions, one fiber waits for the commits", () =>
      Effect.gen(function* () {
        const url = yield* fresh
        yield* Effect.gen(function* () {
          const storage = yield* JobStorage
          const sql = yield* SqlClient.SqlClient
          const supervisor = yield* Supervisor.track
          yield* Effect.supervised(
            Effect.forEach(Array.from({ length: 20 }), () => sql.withTransaction(storage.insert([job()]))),
            supervisor
          )
          const left = () => Effect.map(supervisor.value, (fibers) => fibers.length)
          // itself, and the two that it waits for
          assert.isAtMost(yield* left(), 3)
          yield* Effect.sleep(2_200)
          assert.strictEqual(yield* left(), 0)
        }).pipe(Effect.provide(oneConnection(url)))
      })
    )

    it.live("trailing blanks, case and accents tell names apart", () =>
      onFresh(
        Effect.gen(function* () {
          const storage = yield* JobStorage
          const names = ["a", "a ", "A", "á", "a\t"]
          const jobs = names.flatMap((name) => names.map((uniqueKey) => job({ name, queue: name, uniqueKey })))
          assert.isTrue((yield* storage.insert(jobs)).every(({ created }) => created))
          for (const name of names) {
            const rows = yield* storage.claim({ names: [name], queues: [name], limit: 100, owner: "w", lease: 1000 })
            assert.strictEqual(rows.length, names.length)
          }
        })
      )
    )

    it.live("a deadlock runs the whole unit again", () =>
      Effect.gen(function* () {
        const url = yield* fresh
        const storage = Effect.provide(JobStorage, yield* Layer.build(MysqlStorage.layer({ url })))
        const { cancel, get, insert } = yield* storage
        const [a, b] = [job({ id: "a" }), job({ id: "b" })]
        yield* insert([a, b, ...Array.from({ length: 50 }, (_, at) => job({ id: `heavy-${at}` }))])
        const raw = yield* Layer.build(MysqlClient.layer({ url: Redacted.make(url) }))
        const answers = yield* Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          const other = yield* Deferred.make<void>()
          const holder = yield* Effect.fork(
            sql.withTransaction(
              Effect.gen(function* () {
                // it has written much, so the server sacrifices the other one
                yield* sql`UPDATE dbjobq_jobs SET tags = '["x"]' WHERE id >= 'heavy'`
                yield* sql`UPDATE dbjobq_jobs SET tags = '["x"]' WHERE id = 'b'`
                yield* Deferred.succeed(other, undefined)
                yield* Effect.sleep(300)
                yield* sql`UPDATE dbjobq_jobs SET tags = '["x"]' WHERE id = 'a'`
              })
            )
          )
          yield* Deferred.await(other)
          const result = yield* cancel(["a", "b"])
          yield* Fiber.join(holder)
          return result
        }).pipe(Effect.provide(raw))
        assert.deepStrictEqual(answers, ["cancelled", "cancelled"])
        assert.deepStrictEqual(
          (yield* get(["a", "b"])).map(({ state, tags, token }) => ({ state, tags, token })),
          [1, 1].map((token) => ({ state: "cancelled" as const, tags: ["x"], token }))
        )
        const deadlocks = yield* Effect.promise(() => queryMysql(url, "SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'"))
        if (deadlocks.length > 0) assert.notInclude(JSON.stringify(deadlocks), '"0"')
      }).pipe(Effect.scoped)
    )

    it.live("a lock timeout runs the whole unit again", () =>
      Effect.gen(function* () {
        const url = yield* fresh
        const made = job()
        yield* Effect.gen(function* () {
          const storage = yield* JobStorage
          const sql = yield* SqlClient.SqlClient
          yield* storage.insert([made])
          yield* sql`SET SESSION innodb_lock_wait_timeout = 1`
          const raw = yield* Layer.build(MysqlClient.layer({ url: Redacted.make(url) }))
          const locked = yield* Deferred.make<void>()
          const holder = yield* Effect.fork(
            Effect.flatMap(SqlClient.SqlClient, (other) =>
              other.withTransaction(
                Effect.gen(function* () {
                  yield* other`SELECT id FROM dbjobq_jobs FOR UPDATE`
                  yield* Deferred.succeed(locked, undefined)
                  yield* Effect.sleep(2_500)
                })
              )
            ).pipe(Effect.provide(raw))
          )
          yield* Deferred.await(locked)
          assert.deepStrictEqual(yield* storage.cancel([made.id]), ["cancelled"])
          yield* Fiber.join(holder)
        }).pipe(Effect.provide(oneConnection(url)), Effect.scoped)
      })
    )

    it.live("a claim reads what it takes, however many rows are finished, scheduled or held", () =>
      Effect.gen(function* () {
        const url = yield* fresh
        yield* Effect.gen(function* () {
          const storage = yield* JobStorage
          const sql = yield* SqlClient.SqlClient
          yield* storage.insert(Array.from({ length: 3000 }, () => job()))
          const rows = yield* claimed(storage, 3000)
          yield* storage.settle(
            rows.slice(0, 2000).map(({ id, token }) => ({ id, token, to: "complete", result: null }))
          )
          yield* storage.insert(Array.from({ length: 3000 }, () => job({ due: { delay: 3_600_000 } })))
          yield* storage.insert(Array.from({ length: 500 }, () => job()))
          // the entries of the first claim are purged in the background
          const reads = Effect.gen(function* () {
            yield* sql`FLUSH STATUS`
            assert.strictEqual((yield* claimed(storage, 5)).length, 5)
            const status = yield* sql<{ readonly Value: string }>`SHOW SESSION STATUS LIKE 'Handler_read%'`
            return status.reduce((sum, { Value }) => sum + Number(Value), 0)
          })
          yield* Effect.retry(
            Effect.filterOrFail(
              reads,
              (count) => count < 60,
              (count) => new Error(`${count} rows read`)
            ),
            Schedule.spaced("100 millis").pipe(Schedule.upTo("5 seconds"))
          )
        }).pipe(Effect.provide(oneConnection(url)))
      })
    )

    it.live("a batch larger than a packet is written all the same", () =>
      onFresh(
        Effect.gen(function* () {
          const storage = yield* JobStorage
          const big = JSON.stringify('"\\'.repeat(60_000))
          const jobs = Array.from({ length: 40 }, () => job({ payload: big }))
          assert.isTrue((yield* storage.insert(jobs)).every(({ created }) => created))
          const rows = yield* claimed(storage, 40)
          assert.isTrue(rows.every(({ payload }) => payload === big))
          const result = JSON.stringify("é".repeat(500_000))
          const ended = rows.slice(0, 20).map(({ id, token }) => ({ id, token, to: "complete", result }) as const)
          assert.isTrue((yield* storage.settle(ended)).every((accepted) => accepted))
          assert.isTrue((yield* storage.get(ended.map(({ id }) => id))).every((row) => row.result === result))
        })
      )
    )

    it.live("claimers, producers and a sweeper at once: every job runs once", () =>
      onFresh(
        Effect.gen(function* () {
          const storage = yield* JobStorage
          const done: Array<string> = []
          const total = 4 * 25 * 4
          const producer = (at: number) =>
            Effect.forEach(Array.from({ length: 25 }), (_, round) =>
              storage.insert(
                Array.from({ length: 4 }, (_, n) =>
                  job({
                    priority: n % 2,
                    uniqueKey: n === 0 ? `${at}-${round}` : null,
                    due: { delay: n === 3 ? 5 : 0 }
                  })
                )
              )
            )
          const claimer = (owner: string) =>
            Effect.iterate(0, {
              while: () => done.length < total,
              body: () =>
                Effect.gen(function* () {
                  const rows = yield* claimed(storage, 7, owner)
                  yield* storage.renew(rows, 60_000)
                  const accepted = yield* storage.settle(
                    rows.map(({ id, token }) => ({ id, token, to: "complete", result: null }))
                  )
                  assert.isTrue(accepted.every((one) => one))
                  done.push(...rows.map(({ id }) => id))
                  if (rows.length === 0) yield* Effect.sleep(5)
                  return 0
                })
            })
          const sweeper = Effect.forever(
            Effect.all([
              storage.promote(100),
              storage.sweep({ limit: 100, crashLimit: 3, crashFailure: "{}", retention: { completed: 100 } }),
              Effect.sleep(5)
            ])
          )
          yield* Effect.raceFirst(
            sweeper,
            Effect.all(
              [
                ...Array.from({ length: 4 }, (_, at) => producer(at)),
                ...Array.from({ length: 8 }, (_, at) => claimer(`w${at}`))
              ],
              { concurrency: "unbounded", discard: true }
            )
          )
          assert.strictEqual(done.length, total)
          assert.strictEqual(new Set(done).size, total)
        })
      )
    )

    it.live("a worker survives the loss of its connections; who asks meanwhile gets a transient error", () =>
      Effect.gen(function* () {
        const url = yield* fresh
        const Count = Job.make("Count", { payload: { n: Schema.Number } })
        const seen = new Set<number>()
        const live = Count.toLayer(({ n }) =>
          Effect.zipRight(
            Effect.sleep(5),
            Effect.sync(() => void seen.add(n))
          )
        )
        const database = new URL(url).pathname.slice(1)
        const kill = Effect.promise(async () => {
          const rows = await queryMysql(
            server.url,
            `SELECT GROUP_CONCAT(CONCAT('KILL ', id) SEPARATOR ';') AS kills
             FROM information_schema.processlist WHERE db = '${database}'`
          )
          const kills = Schema.decodeUnknownSync(Schema.Tuple(Schema.Struct({ kills: Schema.NullOr(Schema.String) })))(
            rows
          )
          if (kills[0].kills !== null) await queryMysql(server.url, kills[0].kills)
        })
        yield* Effect.gen(function* () {
          const worker = yield* Worker.make([Count], { concurrency: 4, sweepInterval: 200, lease: "2 seconds" }).pipe(
            Effect.provide(live)
          )
          const storage = yield* JobStorage
          yield* JobQueue.enqueueAll(
            Count,
            Array.from({ length: 200 }, (_, n) => ({ n }))
          )
          const asking = yield* Effect.fork(
            Effect.flip(Effect.forever(Effect.zipRight(storage.counts, Effect.sleep(1))))
          )
          for (let round = 0; round < 3; round++) {
            yield* kill
            yield* Effect.sleep(100)
          }
          const error = yield* Fiber.join(asking).pipe(Effect.timeout("1 second"), Effect.option)
          if (error._tag === "Some") {
            assert.strictEqual(error.value._tag, "StorageError")
            assert.isTrue(error.value.isTransient, error.value.message)
          }
          yield* worker.awaitIdle
          yield* Effect.retry(
            Effect.filterOrFail(
              storage.counts,
              (counts) => counts.length === 1 && counts[0]?.state === "completed",
              () => "not yet"
            ),
            Schedule.spaced("100 millis").pipe(Schedule.upTo("15 seconds"))
          )
          assert.strictEqual(seen.size, 200)
        }).pipe(Effect.provide(JobQueue.layer.pipe(Layer.provideMerge(MysqlStorage.layer({ url })))), Effect.scoped)
      })
    )
  })
}
