/** A process that keeps a SQLite file for itself until its parent says a word. */
import { once } from "node:events"
import * as SqlClient from "@effect/sql/SqlClient"
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import { Effect } from "effect"

const [, , filename = ""] = process.argv

await Effect.flatMap(SqlClient.SqlClient, (sql) =>
  Effect.gen(function* () {
    yield* sql`BEGIN IMMEDIATE`
    const word = Effect.promise(() => once(process, "message"))
    yield* Effect.sync(() => void process.send?.("locked"))
    yield* word
    yield* sql`COMMIT`
  })
).pipe(Effect.provide(SqliteClient.layer({ filename })), Effect.runPromise)

process.disconnect()
