import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { JobStorage } from "../../src/JobStorage.js"
import { checkVersion } from "../../src/storage/sql/version.js"
import * as SqliteStorage from "../../src/storage/SqliteStorage.js"
import { job } from "./jobs.js"
import { sqlSuite } from "./shared.js"

const directory = mkdtempSync(join(tmpdir(), "dbjobq-sqlite-"))
let files = 0
const file = () => join(directory, `${files++}.db`)

afterAll(() => rmSync(directory, { recursive: true, force: true }))

sqlSuite("SQLite file", SqliteStorage.layer({ filename: file() }))
sqlSuite("SQLite memory", SqliteStorage.layer({ filename: ":memory:" }))

describe("SqliteStorage", () => {
  it.live("ten starters at once", () =>
    Effect.gen(function*() {
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
    }))

  it.effect("refuses an old engine and a file that cannot be opened", () =>
    Effect.gen(function*() {
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
    }))
})
