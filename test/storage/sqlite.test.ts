import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { JobStorage, Transactional } from "../../src/JobStorage.js"
import { checkVersion } from "../../src/storage/sql/version.js"
import * as SqlStorage from "../../src/storage/SqlStorage.js"
import * as SqliteStorage from "../../src/storage/SqliteStorage.js"
import { storageContract } from "../../src/testing/contract.js"
import { storageModel } from "../../src/testing/model.js"
import { job } from "./jobs.js"
import { sqlSuite } from "./shared.js"

const directory = mkdtempSync(join(tmpdir(), "dbjobq-sqlite-"))
let files = 0
const file = () => join(directory, `${files++}.db`)

afterAll(() => rmSync(directory, { recursive: true, force: true }))

storageContract("SQLite file", SqliteStorage.layer({ filename: file() }))
storageContract("SQLite memory", SqliteStorage.layer({ filename: ":memory:" }))
storageModel("SQLite file", SqliteStorage.layer({ filename: file() }))
storageModel("SQLite memory", SqliteStorage.layer({ filename: ":memory:" }))

sqlSuite("SQLite file", SqliteStorage.layer({ filename: file() }))
sqlSuite("SQLite memory", SqliteStorage.layer({ filename: ":memory:" }))

sqlSuite(
  "SqlStorage on a client with transforms",
  SqlStorage.layer().pipe(
    Layer.provide(
      SqliteClient.layer({
        filename: file(),
        transformQueryNames: (name) => name.toUpperCase(),
        transformResultNames: (name) => name.toUpperCase()
      })
    )
  )
)

describe("SqliteStorage", () => {
  it.live("a failing COMMIT is a StorageError and leaves no transaction open", () =>
    Effect.gen(function* () {
      const { withTransaction } = yield* Transactional
      const storage = yield* JobStorage
      const sql = yield* SqlClient.SqlClient
      yield* sql`PRAGMA foreign_keys = ON`
      yield* sql`CREATE TABLE a (id INTEGER PRIMARY KEY)`
      yield* sql`CREATE TABLE b (a INTEGER REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED)`
      const error = yield* Effect.flip(
        withTransaction(Effect.zipRight(storage.insert([job()]), sql`INSERT INTO b VALUES (1)`))
      )
      assert.strictEqual(error._tag, "StorageError")
      yield* withTransaction(storage.insert([job()]))
      assert.deepStrictEqual(yield* storage.counts, [{ queue: "default", state: "pending", count: 1 }])
    }).pipe(Effect.provide(SqliteStorage.layer({ filename: ":memory:" })))
  )

  it.live("an insert that fails at last has written nothing, whatever it wrote at first", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage
      const sql = yield* SqlClient.SqlClient
      // as if a holder came before each try and was gone before each look
      yield* sql`CREATE TRIGGER taken BEFORE INSERT ON dbjobq_jobs WHEN NEW.unique_key = 'taken' BEGIN SELECT RAISE(IGNORE); END`
      const error = yield* Effect.flip(storage.insert([job(), job({ uniqueKey: "taken" })]))
      assert.isTrue(error.isTransient)
      assert.deepStrictEqual(yield* storage.counts, [])
    }).pipe(Effect.provide(SqliteStorage.layer({ filename: ":memory:" })))
  )

  for (const [name, layer] of [
    ["its own", SqliteStorage.layer({ filename: ":memory:" })],
    ["the application's", SqlStorage.layer().pipe(Layer.provideMerge(SqliteClient.layer({ filename: ":memory:" })))]
  ] as const) {
    it.live(
      `on ${name} client, what a fiber writes is no part of another's transaction, wherever it is made to pause`,
      () =>
        Effect.gen(function* () {
          const storage = yield* JobStorage
          const sql = yield* SqlClient.SqlClient
          for (const size of [1, 2]) {
            for (let ops = 10; ops <= 34; ops += 2) {
              for (let steps = 0; steps <= 20; steps++) {
                const jobs = Array.from({ length: size }, () => job())
                const rolledBack = Effect.zipRight(
                  Effect.replicateEffect(Effect.yieldNow(), steps),
                  sql.withTransaction(Effect.zipRight(Effect.sleep(1), Effect.fail("changed my mind")))
                )
                yield* Effect.all(
                  [Effect.withMaxOpsBeforeYield(storage.insert(jobs), ops), Effect.ignore(rolledBack)],
                  {
                    concurrency: "unbounded"
                  }
                )
                const kept = yield* storage.get(jobs.map(({ id }) => id))
                assert.lengthOf(kept, size, `${steps} steps, ${ops} operations`)
              }
            }
          }
        }).pipe(Effect.provide(layer))
    )
  }

  it.live("who has reserved the connection has it alone", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage
      const sql = yield* SqlClient.SqlClient
      const count = "SELECT count(*) AS n FROM dbjobq_jobs"
      const inserting = yield* Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* sql.reserve
          const fiber = yield* Effect.fork(
            Effect.all([storage.insert([job()]), storage.insert([job(), job()])], { concurrency: "unbounded" })
          )
          yield* Effect.sleep(20)
          assert.deepStrictEqual(yield* connection.execute(count, [], undefined), [{ n: 0 }])
          return fiber
        })
      )
      yield* Fiber.join(inserting)
      assert.deepStrictEqual(yield* sql.unsafe(count), [{ n: 3 }])
    }).pipe(Effect.scoped, Effect.provide(SqliteStorage.layer({ filename: ":memory:" })))
  )

  it.live("its client answers as those of @effect/sql do", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)`
      assert.deepInclude(yield* sql`INSERT INTO t ${sql.insert([{ name: "a" }, { name: "b" }])}`.raw, { changes: 2 })
      const all = sql`SELECT id, name FROM t ORDER BY id`
      const rows = [
        { id: 1, name: "a" },
        { id: 2, name: "b" }
      ]
      assert.deepStrictEqual(yield* all, rows)
      assert.deepStrictEqual(yield* all.values, [
        [1, "a"],
        [2, "b"]
      ])
      assert.deepStrictEqual(yield* all.raw, rows)
      assert.deepStrictEqual(yield* all.unprepared, rows)
      assert.deepStrictEqual(yield* sql`DELETE FROM t WHERE id = 3`.values, [])
      const bigints = yield* Effect.provideService(sql`SELECT id FROM t`, SqlClient.SafeIntegers, true)
      assert.deepStrictEqual(bigints, [{ id: 1n }, { id: 2n }])
      assert.deepStrictEqual(yield* sql`SELECT id FROM t`, [{ id: 1 }, { id: 2 }])
      for (const wrong of [sql`SELECT nothing FROM t`, sql`INSERT INTO t (id) VALUES (1)`]) {
        assert.strictEqual((yield* Effect.flip(wrong))._tag, "SqlError")
      }
      // more than are kept compiled
      for (let n = 0; n < 500; n++) assert.deepStrictEqual(yield* sql.unsafe(`SELECT ${n} AS n`), [{ n }])
      assert.deepStrictEqual(yield* all, rows)
    }).pipe(Effect.provide(SqliteStorage.layer({ filename: ":memory:" })))
  )

  it.live("enqueues that share a commit: what one is refused for is no matter of the others, and is undone", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage
      const taken = job()
      yield* storage.insert([taken])
      const fresh = Array.from({ length: 5 }, () => job())
      const answers = yield* Effect.forEach(
        [...fresh.slice(0, 3), taken, ...fresh.slice(3)],
        (one) => storage.insert([one]),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        answers.flat().map(({ answer, created }) => [answer, created]),
        [...fresh.slice(0, 3), taken, ...fresh.slice(3)].map((one) => ["inserted", one !== taken])
      )
      assert.deepStrictEqual(yield* storage.counts, [{ queue: "default", state: "pending", count: 6 }])
    }).pipe(Effect.provide(SqliteStorage.layer({ filename: ":memory:" })))
  )

  it.live("who is interrupted while others write is not waited for by them", () =>
    Effect.gen(function* () {
      const storage = yield* JobStorage
      for (let n = 0; n < 20; n++) {
        const fiber = yield* Effect.fork(storage.insert([job()]))
        yield* Effect.replicateEffect(Effect.yieldNow(), n % 4)
        yield* Fiber.interruptFork(fiber)
        assert.lengthOf(yield* storage.insert([job()]), 1)
      }
    }).pipe(Effect.provide(SqliteStorage.layer({ filename: ":memory:" })))
  )

  it.live("waits for another writer", () => {
    const filename = file()
    return Effect.gen(function* () {
      const one = yield* Layer.build(SqliteStorage.layer({ filename }))
      const two = yield* Layer.build(SqliteStorage.layer({ filename }))
      const { withTransaction } = Context.get(one, Transactional)
      const holding = yield* Effect.fork(
        withTransaction(Effect.zipRight(Context.get(one, JobStorage).insert([job()]), Effect.sleep(400)))
      )
      yield* Effect.sleep(50)
      const other = Context.get(two, JobStorage)
      const inside = Context.get(two, Transactional).withTransaction(other.insert([job()]))
      yield* Effect.all([other.insert([job({ due: { delay: 0.5 } })]), inside])
      yield* Fiber.join(holding)
      assert.deepStrictEqual(
        (yield* other.counts).map((count) => count.count),
        [2, 1]
      )
    }).pipe(Effect.scoped)
  })

  it.live("ten starters at once", () =>
    Effect.gen(function* () {
      const filename = file()
      yield* Effect.forEach(
        Array.from({ length: 10 }),
        () =>
          Effect.flatMap(JobStorage, (storage) => storage.insert([job()])).pipe(
            Effect.provide(SqliteStorage.layer({ filename }))
          ),
        { concurrency: "unbounded" }
      )
      const counts = yield* Effect.flatMap(JobStorage, (storage) => storage.counts).pipe(
        Effect.provide(SqliteStorage.layer({ filename }))
      )
      assert.deepStrictEqual(counts, [{ queue: "default", state: "pending", count: 10 }])
    })
  )

  it.effect("refuses an old engine", () =>
    Effect.gen(function* () {
      const old = yield* Effect.flip(checkVersion("3.51.2"))
      assert.include(old.message, "3.51.3")
      assert.include(old.message, "3.51.2")
      yield* checkVersion("3.51.3")
      yield* checkVersion("3.53.0")
      yield* checkVersion("4.0.0")
    })
  )

  it("refuses a name that makes a database which is gone at the end", () => {
    for (const filename of ["", " "]) assert.throws(() => SqliteStorage.layer({ filename }), /filename/)
    // as a program without types, or with an unset variable, gives it
    const unset: { filename: string } = JSON.parse("{}")
    assert.throws(() => SqliteStorage.layer(unset), /filename/)
  })

  it.live("says which file cannot be opened, and why", () =>
    Effect.gen(function* () {
      const refused = (filename: string) =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(Effect.provide(JobStorage, SqliteStorage.layer({ filename })))
          assert.strictEqual(error._tag, "StorageError")
          assert.include(error.message, filename)
          return error
        })
      const missing = yield* refused(join(directory, "none", "x.db"))
      assert.include(missing.message, "directory does not exist")
      assert.include((yield* refused(directory)).message, "SQLITE_CANTOPEN")
      const text = file()
      writeFileSync(text, "no database, but long enough to be one ".repeat(100))
      const strange = yield* refused(text)
      assert.include(strange.message, "SQLITE_NOTADB")
      assert.isFalse(strange.isTransient)
      const broken = file()
      yield* Effect.provide(JobStorage, SqliteStorage.layer({ filename: broken }))
      const pages = openSync(broken, "r+")
      writeSync(pages, Buffer.alloc(4096 * 8, 7), 0, 4096 * 8, 100)
      closeSync(pages)
      assert.include((yield* refused(broken)).message, "SQLITE_CORRUPT")
    })
  )

  it.scopedLive(
    "says which file is locked",
    () =>
      Effect.gen(function* () {
        const filename = file()
        const holder = yield* SqliteClient.make({ filename, disableWAL: true }).pipe(Effect.provide(Reactivity.layer))
        yield* holder`PRAGMA locking_mode = EXCLUSIVE`
        yield* holder`CREATE TABLE t (a)`
        const error = yield* Effect.flip(Effect.provide(JobStorage, SqliteStorage.layer({ filename })))
        assert.include(error.message, filename)
        assert.include(error.message, "SQLITE_BUSY")
        assert.isTrue(error.isTransient)
      }),
    30_000
  )
})
