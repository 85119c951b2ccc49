import { SqlClient, Statement } from "@effect/sql"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import * as Tracer from "effect/Tracer"
import type { StorageError } from "../../src/JobError.js"
import { JobStorage, Transactional, type Wakeup } from "../../src/JobStorage.js"
import * as PgStorage from "../../src/storage/PgStorage.js"
import * as SqlStorage from "../../src/storage/SqlStorage.js"
import { storageContract } from "../../src/testing/contract.js"
import { storageModel } from "../../src/testing/model.js"
import { halfOpenSuite } from "./halfOpen.js"
import { job } from "./jobs.js"
import { proxy } from "./proxy.js"
import { dropSchema, postgres, query, randomSchema } from "./servers.js"
import { sqlSuite } from "./shared.js"
import { turnsSuite } from "./turns.js"

const server = await postgres()
const url = server?.url ?? ""
const schemas: Array<string> = []
const fresh = () => {
  const schema = randomSchema()
  schemas.push(schema)
  return schema
}

afterAll(async () => {
  if (server === undefined) return
  for (const schema of schemas) await dropSchema(url, schema)
  await server.stop()
})

if (server === undefined) describe.skip("PostgreSQL: no server", () => {})
else {
  storageContract("PostgreSQL", PgStorage.layer({ url, schema: fresh() }))
  storageContract("PostgreSQL, Effect's clock", PgStorage.layer({ url, schema: fresh(), clock: "effect" }))
  storageModel("PostgreSQL, Effect's clock", PgStorage.layer({ url, schema: fresh(), clock: "effect" }))

  sqlSuite("PostgreSQL", PgStorage.layer({ url, schema: fresh() }))

  turnsSuite("PgStorage", () => PgStorage.layer({ url, schema: fresh(), maxConnections: 3 }))

  halfOpenSuite("PgStorage", {
    defaultPort: 5432,
    fresh: Effect.sync(() => {
      const schema = fresh()
      return {
        url,
        table: `${schema}.dbjobq_jobs`,
        layer: (by, queryTimeout) => PgStorage.layer({ url: by, schema, queryTimeout, maxConnections: 3 })
      }
    }),
    sleep: (seconds) => `SELECT pg_sleep(${seconds})`,
    underWay: (table) => `SELECT pid FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()
      AND query LIKE '%"${table.replace(".", '".')}%'`
  })

  describe("PgStorage", () => {
    it.live(
      "ten starters at once",
      () =>
        Effect.gen(function* () {
          const layer = PgStorage.layer({ url, schema: fresh(), maxConnections: 3 })
          yield* Effect.forEach(
            Array.from({ length: 10 }),
            () => Effect.flatMap(JobStorage, (storage) => storage.insert([job()])).pipe(Effect.provide(layer)),
            { concurrency: "unbounded" }
          )
          const counts = yield* Effect.flatMap(JobStorage, (storage) => storage.counts).pipe(Effect.provide(layer))
          assert.deepStrictEqual(counts, [{ queue: "default", state: "pending", count: 10 }])
        }),
      30_000
    )

    it.live(
      "wake-ups arrive, also after the connection was killed",
      () => {
        const schema = fresh()
        return Effect.gen(function* () {
          const storage = yield* JobStorage
          const heard = yield* Queue.unbounded<Wakeup>()
          const fiber = yield* Effect.fork(Stream.runForEach(storage.wakeups, (wakeup) => Queue.offer(heard, wakeup)))
          const connected = Effect.gen(function* () {
            assert.strictEqual(yield* Queue.take(heard), "jobs")
            assert.strictEqual(yield* Queue.take(heard), "schedules")
          })
          yield* connected
          // one for a batch, also when all of it is due later
          yield* storage.insert([job({ queue: "q1" }), job({ queue: "q2", due: { delay: 9999 } })])
          assert.strictEqual(yield* Queue.take(heard), "jobs")
          yield* storage.insert([job({ due: { delay: 9999 } })])
          assert.strictEqual(yield* Queue.take(heard), "jobs")
          yield* Effect.promise(() =>
            query(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = $1", [
              `LISTEN "dbjobq_${schema}"`
            ])
          )
          yield* connected
          yield* storage.insert([job({ queue: "q3" })])
          assert.strictEqual(yield* Queue.take(heard), "jobs")
          assert.strictEqual(yield* Queue.size(heard), 0)
          yield* Fiber.interrupt(fiber)
        }).pipe(Effect.provide(PgStorage.layer({ url, schema })), Effect.timeout("20 seconds"))
      },
      30_000
    )

    it.scopedLive(
      "wake-ups arrive, also after the connection went silent",
      () =>
        Effect.gen(function* () {
          const schema = fresh()
          const between = yield* proxy(url, 5432)
          const context = yield* Layer.build(
            PgStorage.layer({ url: between.url, schema, queryTimeout: "500 millis", maxConnections: 3 })
          )
          const storage = Context.get(context, JobStorage)
          const heard = yield* Queue.unbounded<Wakeup>()
          yield* Effect.forkScoped(Stream.runForEach(storage.wakeups, (wakeup) => Queue.offer(heard, wakeup)))
          const connected = Effect.zipRight(Queue.take(heard), Queue.take(heard))
          yield* connected
          yield* between.freeze
          yield* connected
          yield* storage.insert([job()])
          assert.strictEqual(yield* Queue.take(heard), "jobs")
        }).pipe(Effect.timeout("25 seconds")),
      30_000
    )

    it.live(
      "a wake-up for all that comes back or is due sooner, none for jobs that end",
      () =>
        Effect.gen(function* () {
          const storage = yield* JobStorage
          const heard = yield* Queue.unbounded<Wakeup>()
          const fiber = yield* Effect.fork(Stream.runForEach(storage.wakeups, (wakeup) => Queue.offer(heard, wakeup)))
          const told = (wakeup: Wakeup) => Effect.map(Queue.take(heard), (found) => assert.strictEqual(found, wakeup))
          yield* told("jobs")
          yield* told("schedules")
          const jobs = Array.from({ length: 8 }, () => job())
          yield* storage.insert(jobs)
          yield* told("jobs")
          const rows = yield* storage.claim({ names: ["mail"], limit: 8, owner: "w", lease: 1 })
          const [a, b, c, d, e, f, ...rest] = rows.map(({ id, token }) => ({ id, token }))
          assert(a !== undefined && b !== undefined && c !== undefined && d !== undefined)
          assert(e !== undefined && f !== undefined)
          yield* storage.settle([
            { ...a, to: "complete", result: null },
            { ...b, to: "fail", failure: "{}" },
            { ...c, to: "cancel" }
          ])
          yield* storage.settle([
            { ...d, to: "retry", delay: 1000, failure: "{}" },
            { ...(rest[0] ?? a), to: "complete", result: null }
          ])
          yield* told("jobs")
          yield* storage.settle([{ ...e, to: "snooze", delay: 1000 }])
          yield* told("jobs")
          yield* storage.settle([{ ...f, to: "release" }])
          yield* told("jobs")
          yield* Effect.sleep(5)
          const swept = yield* storage.sweep({ limit: 10, crashLimit: 3, crashFailure: "{}", retention: {} })
          assert.strictEqual(swept.rescued, 1)
          yield* told("jobs")
          yield* storage.rerun([a.id])
          yield* told("jobs")
          yield* storage.reschedule([a.id], { delay: 1000 })
          yield* told("jobs")
          yield* storage.pauseQueue("default")
          yield* storage.resumeQueue("default")
          yield* told("jobs")
          const schedule = {
            id: "s",
            job: "mail",
            queue: "default",
            priority: 0,
            payload: "{}",
            maxAttempts: 1,
            uniqueKey: null,
            recurrence: "every",
            missed: 1,
            overlap: "allow",
            jitter: 0,
            enabled: undefined,
            next: 1
          } as const
          yield* storage.putSchedules([schedule, { ...schedule, id: "t" }])
          yield* told("schedules")
          // unchanged, so there is nothing to tell
          yield* storage.putSchedules([schedule])
          yield* storage.enableSchedules([{ id: "s", enabled: false, next: null }])
          yield* told("schedules")
          yield* storage.insert([job()])
          yield* told("jobs")
          assert.strictEqual(yield* Queue.size(heard), 0)
          yield* Fiber.interrupt(fiber)
        }).pipe(Effect.provide(PgStorage.layer({ url, schema: fresh() })), Effect.timeout("20 seconds")),
      30_000
    )

    it.live("two pools never claim the same job", () => {
      const layer = PgStorage.layer({ url, schema: fresh() })
      return Effect.gen(function* () {
        const storage = yield* JobStorage
        yield* storage.insert(Array.from({ length: 500 }, () => job()))
        const taken = yield* Effect.forEach(
          Array.from({ length: 20 }),
          (_, at) => storage.claim({ names: ["mail"], limit: 50, owner: `w${at}`, lease: 10_000 }),
          { concurrency: 10 }
        )
        const ids = taken.flat().map((row) => row.id)
        assert.strictEqual(new Set(ids).size, ids.length)
        assert.strictEqual(ids.length, 500)
      }).pipe(Effect.provide(layer))
    })

    describe("statements are prepared once a connection", () => {
      const connections = 3
      const names = ["claim/12 rows", "insert/3 value", "promote/2 rows", "settle/11 value"]

      /** One job through all that runs for it. */
      const cycle = Effect.gen(function* () {
        const storage = yield* JobStorage
        const one = job()
        yield* storage.insert([one])
        yield* storage.promote(10)
        const [row] = yield* storage.claim({ names: ["mail"], limit: 10, owner: "w", lease: 10_000 })
        assert.strictEqual(row?.id, one.id)
        const settled = yield* storage.settle([{ id: one.id, token: row?.token ?? 0, to: "complete", result: null }])
        assert.deepStrictEqual(settled, [true])
      })

      const everywhere = (statement: string) =>
        Effect.scoped(
          Effect.gen(function* () {
            const sql = yield* SqlClient.SqlClient
            const reserved = yield* Effect.replicateEffect(sql.reserve, connections)
            const answers = yield* Effect.forEach(reserved, (one) => one.executeUnprepared(statement, [], undefined))
            return answers.flat()
          })
        )

      const prepared = Effect.map(everywhere("SELECT name FROM pg_prepared_statements"), (rows) =>
        rows.map((row) => String(Reflect.get(row, "name")).split(" ").slice(0, 2).join(" ")).sort()
      )

      const onOne = <A, E>(use: (schema: string) => Effect.Effect<A, E, JobStorage | SqlClient.SqlClient>) => {
        const schema = fresh()
        const layer = PgStorage.layer({ url, schema, maxConnections: connections })
        return Effect.timeout(use(schema), "20 seconds").pipe(Effect.provide(layer))
      }

      it.live("by names of their own", () =>
        onOne(() =>
          Effect.gen(function* () {
            yield* cycle
            yield* cycle
            assert.deepStrictEqual(yield* prepared, names)
          })
        )
      )

      it.live("and run all the same where a pooler lends a connection that does not have them", () =>
        onOne(() =>
          Effect.gen(function* () {
            yield* cycle
            yield* everywhere("DEALLOCATE ALL")
            yield* cycle
            assert.deepStrictEqual(yield* prepared, [])
          })
        )
      )

      it.live("and run all the same where a pooler lends a connection that has them already", () =>
        onOne((schema) =>
          Effect.gen(function* () {
            for (const name of names) {
              yield* everywhere(`PREPARE "${name} ${schema}" AS SELECT 'another'`)
            }
            yield* cycle
            yield* cycle
          })
        )
      )

      for (const [what, changed] of [
        ["answers", 'at bigint, max_rows integer) RETURNS TABLE (promoted integer, "nextIn" float8, more text'],
        ["is given", 'at bigint, max_rows smallint) RETURNS TABLE (promoted integer, "nextIn" float8, more text']
      ]) {
        it.live(`and run all the same when a migration has changed what one ${what}`, () =>
          onOne((schema) =>
            Effect.gen(function* () {
              const { promote } = yield* JobStorage
              yield* cycle
              // on each of the connections, so that any of them is stale
              yield* Effect.replicateEffect(promote(1), connections, { concurrency: "unbounded" })
              yield* everywhere(`DROP FUNCTION IF EXISTS "${schema}".dbjobq_promote;
                CREATE FUNCTION "${schema}".dbjobq_promote(${changed}) LANGUAGE sql AS $$ SELECT 0, NULL::float8, '' $$`)
              yield* cycle
              yield* everywhere("DEALLOCATE ALL")
              yield* cycle
              assert.deepStrictEqual(yield* prepared, [])
            })
          )
        )
      }
    })

    describe("a small claim", () => {
      const setup = <A, E>(
        use: (
          storage: JobStorage["Type"],
          claim: (limit: number) => Effect.Effect<ReadonlyArray<string>, StorageError>,
          table: string
        ) => Effect.Effect<A, E, SqlClient.SqlClient | Transactional>
      ) => {
        const schema = fresh()
        return Effect.flatMap(JobStorage, (storage) => {
          const claim = (limit: number) =>
            Effect.map(storage.claim({ names: ["mail", "sms"], limit, owner: "w", lease: 10_000 }), (rows) =>
              rows.map((row) => row.id)
            )
          return use(storage, claim, `${schema}.dbjobq_jobs`)
        }).pipe(Effect.timeout("20 seconds"), Effect.provide(PgStorage.layer({ url, schema })))
      }

      /** In claim order: two queues and names by turns, the priorities fall. */
      const backlog = Array.from({ length: 12 }, (_, n) =>
        job({ queue: n % 2 === 0 ? "default" : "other", name: n % 3 === 0 ? "sms" : "mail", priority: 100 - n })
      )
      const ids = backlog.map(({ id }) => id)

      for (const limit of [11, 12, 13]) {
        it.live(`takes the best ${limit} of 12`, () =>
          setup((storage, claim) =>
            Effect.gen(function* () {
              yield* storage.insert([...backlog].reverse())
              assert.deepStrictEqual(yield* claim(limit), ids.slice(0, limit))
              assert.deepStrictEqual(yield* claim(limit), ids.slice(limit))
            })
          )
        )
      }

      it.live("leaves what is paused, and what others do", () =>
        setup((storage, claim) =>
          Effect.gen(function* () {
            yield* storage.insert([...backlog, job({ name: "fax", priority: 200 })])
            yield* storage.pauseQueue("other")
            const open = backlog.filter(({ queue }) => queue === "default").map(({ id }) => id)
            assert.deepStrictEqual(yield* claim(20), open)
            assert.deepStrictEqual(yield* claim(20), [])
          })
        )
      )

      it.live("does not wait for what a rival has locked", () =>
        setup((storage, claim, table) =>
          Effect.gen(function* () {
            const sql = yield* SqlClient.SqlClient
            const { detached } = yield* Transactional
            yield* storage.insert(backlog)
            const rival = sql`SELECT 1 FROM ${sql(table)} WHERE id IN ${sql.in(ids.slice(0, 3))} FOR UPDATE`
            const claimed = yield* sql.withTransaction(Effect.zipRight(rival, detached(claim(20))))
            assert.deepStrictEqual(claimed, ids.slice(3))
          })
        )
      )

      it.live("reads no more of a backlog than it takes", () =>
        setup((storage, claim, table) =>
          Effect.gen(function* () {
            const sql = yield* SqlClient.SqlClient
            const later = { delay: 3_600_000 }
            const payload = JSON.stringify("x".repeat(800))
            yield* storage.insert(
              Array.from({ length: 6_000 }, (_, n) =>
                job({ queue: `q${n % 13}`, payload, ...(n % 4 === 0 ? {} : { due: later }) })
              )
            )
            yield* sql`ANALYZE ${sql(table)}`
            const fetched = Effect.map(
              sql<{ readonly n: string }>`SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(indexrelid)), 0) AS n
                FROM pg_index WHERE indrelid = ${table}::regclass`,
              ([row]) => Number(row?.n)
            )
            const read = yield* sql.withTransaction(Effect.zipRight(claim(10), fetched))
            assert.isAbove(read, 0)
            assert.isBelow(read, 1_000)
          })
        )
      )
    })

    it.live("an enqueue that was interrupted while it was written keeps no later one waiting", () => {
      const schema = fresh()
      return Effect.gen(function* () {
        const storage = yield* JobStorage
        const sql = yield* SqlClient.SqlClient
        const locked = yield* Deferred.make<void>()
        const release = yield* Deferred.make<void>()
        const locking = Effect.gen(function* () {
          yield* sql`LOCK TABLE ${sql(`${schema}.dbjobq_jobs`)} IN SHARE MODE`
          yield* Deferred.succeed(locked, undefined)
          yield* Deferred.await(release)
        })
        const lock = yield* Effect.fork(sql.withTransaction(locking))
        yield* Deferred.await(locked)
        const lone = yield* Effect.fork(storage.insert([job()]))
        const waits = sql`SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE ${`%${schema}%`}`
        yield* Effect.repeat(Effect.delay(waits, 20), { until: (rows) => rows.length > 0 })
        yield* Fiber.interrupt(lone)
        const later = Array.from({ length: 12 }, () => job())
        const [first = job(), second = job(), ...others] = later
        const beside = yield* Effect.fork(storage.insert([first]))
        yield* Deferred.succeed(release, undefined)
        yield* Fiber.join(lock)
        yield* Fiber.join(beside)
        yield* storage.insert([second])
        yield* Effect.forEach(others, (one) => storage.insert([one]), { concurrency: "unbounded" })
        // whether the interrupted one was written after all is the server's to say
        assert.lengthOf(yield* storage.get(later.map(({ id }) => id)), 12)
      }).pipe(Effect.timeout("20 seconds"), Effect.provide(PgStorage.layer({ url, schema, maxConnections: 4 })))
    })

    it.live("what a wake-up asks reads no more rows, however many are scheduled", () => {
      const schema = fresh()
      return Effect.gen(function* () {
        const storage = yield* JobStorage
        yield* storage.insert(Array.from({ length: 3_000 }, (_, n) => job({ due: { delay: 60_000 + n } })))
        const sql = yield* SqlClient.SqlClient
        const rowsRead = Effect.map(
          sql<{ readonly read: string }>`SELECT seq_tup_read + idx_tup_fetch AS read FROM pg_stat_xact_user_tables
            WHERE schemaname = ${schema} AND relname = 'dbjobq_jobs'`,
          ([row]) => Number(row?.read)
        )
        for (const call of ["dbjobq_look(NULL)", "dbjobq_promote(NULL, 1000)"]) {
          const read = yield* sql.withTransaction(
            Effect.gen(function* () {
              const before = yield* rowsRead
              yield* sql.unsafe(`SELECT * FROM "${schema}".${call}`)
              return (yield* rowsRead) - before
            })
          )
          assert.isAtMost(read, 10, call)
        }
      }).pipe(Effect.provide(PgStorage.layer({ url, schema })))
    })

    it.live("a transformer of statements and a tracer are shown those that run for each job", () =>
      Effect.gen(function* () {
        const storage = yield* JobStorage
        const shown: Array<string> = []
        yield* Effect.asVoid(storage.insert([job()])).pipe(
          Statement.withTransformer((statement) =>
            Effect.sync(() => {
              shown.push(statement.compile()[0])
              return statement
            })
          )
        )
        assert.match(shown.join(), /dbjobq_insert/)
        const native = yield* Effect.tracer
        const spans: Array<string> = []
        const tracer = Tracer.make({
          context: native.context,
          span: (...args) => {
            spans.push(args[0])
            return native.span(...args)
          }
        })
        yield* Effect.withTracer(storage.claim({ names: ["mail"], limit: 1, owner: "w", lease: 1_000 }), tracer)
        assert.deepStrictEqual(spans, ["sql.execute"])
      }).pipe(Effect.provide(PgStorage.layer({ url, schema: fresh() })))
    )

    it.effect("an option that configuration gives and a rule refuses is an error of the configuration", () =>
      Effect.gen(function* () {
        const given = { url: Config.succeed("hello"), schema: Config.succeed("jobs") }
        const error = yield* Effect.flip(Effect.provide(JobStorage, PgStorage.layerConfig(given)))
        assert.deepInclude(error, { _op: "InvalidData", path: ["url"] })
      })
    )

    it.effect("refuses times that no timer holds", () =>
      Effect.sync(() => {
        assert.throws(() => PgStorage.layer({ url, queryTimeout: "30 days" }))
        assert.throws(() => PgStorage.layer({ url, connectTimeout: "30 days" }))
        assert.throws(() => PgStorage.layer({ url, connectTimeout: 0 }))
      })
    )

    it.live("large payloads are claimed among small ones", () =>
      Effect.gen(function* () {
        const storage = yield* JobStorage
        const jobs = [10, 20_000, 100, 16_400, 0].map((length) =>
          job({ payload: JSON.stringify("é\n".repeat(length)) })
        )
        yield* storage.insert(jobs)
        const rows = yield* storage.claim({ names: ["mail"], limit: 10, owner: "w", lease: 60_000 })
        assert.deepStrictEqual(
          new Map(rows.map(({ id, payload }) => [id, payload])),
          new Map(jobs.map(({ id, payload }) => [id, payload]))
        )
      }).pipe(Effect.provide(PgStorage.layer({ url, schema: fresh() })))
    )

    it.live(
      "no claim commits after pauseQueue has returned",
      () =>
        Effect.gen(function* () {
          const storage = yield* JobStorage
          yield* storage.insert(Array.from({ length: 3000 }, () => job()))
          const claim = storage.claim({ names: ["mail"], limit: 1, owner: "w", lease: 60_000 })
          const workers = yield* Effect.fork(
            Effect.all(
              Array.from({ length: 6 }, () => Effect.forever(claim)),
              {
                concurrency: "unbounded"
              }
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
        }).pipe(Effect.provide(PgStorage.layer({ url, schema: fresh() }))),
      20_000
    )

    it.live("a refused unique key does not abort the caller's transaction", () =>
      Effect.gen(function* () {
        const storage = yield* JobStorage
        const { withTransaction } = yield* Transactional
        const first = job({ uniqueKey: "u" })
        const answers = yield* withTransaction(
          Effect.gen(function* () {
            yield* storage.insert([first])
            const duplicate = yield* storage.insert([job({ uniqueKey: "u" })])
            const [claimed] = yield* storage.claim({ names: ["mail"], limit: 1, owner: "w", lease: 1000 })
            if (claimed !== undefined) {
              yield* storage.settle([{ id: claimed.id, token: claimed.token, to: "complete", result: null }])
            }
            const next = yield* storage.insert([job({ uniqueKey: "u" })])
            const rerun = yield* storage.rerun([first.id])
            const after = yield* storage.insert([job()])
            return [duplicate[0]?.answer, next[0]?.answer, rerun[0], after[0]?.answer]
          })
        )
        assert.deepStrictEqual(answers, ["duplicate", "inserted", "duplicate", "inserted"])
      }).pipe(Effect.provide(PgStorage.layer({ url, schema: fresh() })))
    )

    it.live("a server that is down is a StorageError in bounded time", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(
          Effect.provide(JobStorage, PgStorage.layer({ url: "postgres://nobody:secret@127.0.0.1:1/none" }))
        )
        assert.strictEqual(error._tag, "StorageError")
        assert.isTrue(error.isTransient)
        assert.notInclude(error.message, "secret")
      }).pipe(Effect.timeout("10 seconds"))
    )

    it.live("a claim that follows a full one does not walk over what has been claimed", () => {
      const schema = fresh()
      return Effect.gen(function* () {
        const storage = yield* JobStorage
        const sql = yield* SqlClient.SqlClient
        yield* storage.insert(Array.from({ length: 4_000 }, () => job()))
        const entriesRead = Effect.map(
          sql<{ readonly read: string }>`SELECT pg_stat_get_xact_tuples_returned(
            ${`${schema}.dbjobq_jobs_ready`}::regclass) AS read`,
          ([row]) => Number(row?.read)
        )
        const claim = (limit: number) => storage.claim({ names: ["mail"], limit, owner: "w", lease: 60_000 })
        // in one transaction nothing that is claimed can be forgotten, as under an old snapshot
        const read = yield* sql.withTransaction(
          Effect.gen(function* () {
            assert.lengthOf(yield* claim(3_000), 3_000)
            const before = yield* entriesRead
            for (let n = 0; n < 9; n++) assert.lengthOf(yield* claim(100), 100)
            return (yield* entriesRead) - before
          })
        )
        assert.isAtLeast(read, 900)
        assert.isBelow(read, 1_500)
      }).pipe(Effect.provide(PgStorage.layer({ url, schema })), Effect.provide(TestContext.TestContext))
    })

    describe("claims that go on where the last ended", () => {
      const limit = 100
      const setup = <A, E>(
        use: (
          storage: Context.Tag.Service<JobStorage>,
          ids: (names?: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<string>, StorageError>
        ) => Effect.Effect<A, E>
      ) =>
        Effect.gen(function* () {
          const storage = yield* JobStorage
          yield* storage.insert(Array.from({ length: 3 * limit }, () => job()))
          return yield* use(storage, (names = ["mail"]) =>
            Effect.map(storage.claim({ names, limit, owner: "w", lease: 60_000 }), (rows) => rows.map(({ id }) => id))
          )
        }).pipe(Effect.provide(PgStorage.layer({ url, schema: fresh() })), Effect.provide(TestContext.TestContext))
      const urgent = (name: string) => job({ name, priority: 1 })

      it.live("see after half a second what is more urgent", () =>
        setup((storage, claim) =>
          Effect.gen(function* () {
            yield* claim()
            const job = urgent("mail")
            yield* storage.insert([job])
            assert.notInclude(yield* claim(), job.id)
            yield* TestClock.adjust("501 millis")
            assert.strictEqual((yield* claim())[0], job.id)
          })
        )
      )

      it.live("look again at all when there is less than they want", () =>
        setup((storage, claim) =>
          Effect.gen(function* () {
            yield* claim()
            const job = urgent("mail")
            yield* storage.insert([job])
            yield* claim()
            const rest = yield* claim()
            assert.lengthOf(rest, limit)
            assert.notInclude(rest, job.id)
            assert.deepStrictEqual(yield* claim(), [job.id])
            assert.deepStrictEqual(yield* claim(), [])
          })
        )
      )

      it.live("see at once what other names have", () =>
        setup((storage, claim) =>
          Effect.gen(function* () {
            const names = ["apples", "mail", "pears"]
            yield* claim(names)
            const jobs = [urgent("apples"), urgent("pears")]
            yield* storage.insert(jobs)
            const next = yield* claim(names)
            assert.lengthOf(next, limit)
            assert.sameMembers(
              next.slice(0, 2),
              jobs.map(({ id }) => id)
            )
          })
        )
      )

      it.live("see at once that their queue is paused", () =>
        setup((storage, claim) =>
          Effect.gen(function* () {
            yield* claim()
            yield* storage.pauseQueue("default")
            assert.deepStrictEqual(yield* claim(), [])
            yield* storage.resumeQueue("default")
            assert.lengthOf(yield* claim(), limit)
          })
        )
      )
    })

    it.effect("refuses a schema name outside the allow-list", () =>
      Effect.sync(() => {
        assert.throws(() => PgStorage.layer({ url, schema: 'a"b' }))
        assert.throws(() => SqlStorage.migrationSql("pg", "a b"))
        assert.include(SqlStorage.migrationSql("pg", "jobs"), "CREATE SCHEMA")
      })
    )

    it.live("the printed SQL is what migrate runs", () => {
      const schema = fresh()
      return Effect.gen(function* () {
        const unmigrated = Effect.provide(JobStorage, PgStorage.layer({ url, schema, migrate: false }))
        const error = yield* Effect.flip(unmigrated)
        assert.strictEqual(error.operation, "open")
        assert.include(error.message, "tables are missing")
        yield* Effect.promise(() => query(url, SqlStorage.migrationSql("pg", schema)))
        assert.isTrue((yield* unmigrated).capabilities.storeClock)
        const storage = yield* Effect.provide(JobStorage, PgStorage.layer({ url, schema }))
        assert.isTrue(storage.capabilities.storeClock)
      })
    })
  })
}
