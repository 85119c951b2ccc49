/** An `SqlClient` on the one connection to a SQLite file, and a way past it where nobody has the connection. */
import type * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import * as Statement from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import type { Driver, WriteAll } from "./sqliteDriver.js"

export interface SqliteClient {
  readonly client: SqlClient.SqlClient
  /** Refused while a statement, a transaction or who has reserved it is at the connection. */
  readonly writeAll: WriteAll
}

export const make = ({ connection, writeAll }: Driver): Effect.Effect<SqliteClient, never, Reactivity.Reactivity> => {
  const one = Effect.unsafeMakeSemaphore(1)
  let held = false
  // until the statement is over, not only until it has the connection: a fiber may be made to pause in between, and
  // another begin a transaction that the statement would then be part of
  const hold: Connection.Acquirer = Effect.uninterruptibleMask((restore) =>
    Effect.zipRight(
      restore(one.take(1)),
      Effect.suspend(() => {
        held = true
        const release = Effect.suspend(() => {
          held = false
          return one.release(1)
        })
        return Effect.as(
          Effect.addFinalizer(() => release),
          connection
        )
      })
    )
  )
  return Effect.map(
    SqlClient.make({
      acquirer: hold,
      compiler: Statement.makeCompilerSqlite(),
      spanAttributes: [["db.system.name", "sqlite"]]
    }),
    (client) => ({ client, writeAll: (writes) => (held ? "refused" : writeAll(writes)) })
  )
}
