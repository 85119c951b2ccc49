import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
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

  it.effect("refuses an old engine and a file that cannot be opened", () =>
    Effect.gen(function* () {
      const old = yield* Effect.flip(checkVersion("3.51.2"))
      assert.include(old.message, "3.51.3")
      assert.include(old.message, "3.51.2")
      yield* checkVersion("3.51.3")
      yield* checkVersion("3.53.0")
      yield* checkVersion("4.0.0")
      const error = yield* Effect.flip(
        Effect.provide(JobStorage, SqliteStorage.layer({ filename: join(directory, "none", "x.db") }))
      )
      assert.strictEqual(error._tag, "StorageError")
    })
  )
})
