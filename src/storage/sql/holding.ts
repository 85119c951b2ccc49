/**
 * Statements that hold the connection of SQLite until they are over. The client of `@effect/sql-sqlite-node` gives it back
 * before: a fiber that is made to pause in between would write into the transaction that another has begun meanwhile, and
 * what was acknowledged would be gone with it.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Statement from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { isOpen } from "./ownership.js"

const statements = (client: SqlClient.SqlClient): Statement.Constructor =>
  Statement.make(
    Effect.flatMap(
      Effect.serviceOption(SqlClient.TransactionConnection),
      Option.match({ onNone: () => client.reserve, onSome: ([connection]) => Effect.succeed(connection) })
    ),
    Statement.makeCompilerSqlite(),
    [],
    undefined
  )

/** The client's own statements where it has nothing to hold, as one without transactions may. */
export const make = (client: SqlClient.SqlClient): Effect.Effect<Statement.Constructor> =>
  Effect.gen(function* () {
    // whoever is inside a transaction holds the connection already, and would wait for himself
    if (!(yield* isOpen)) yield* Effect.scoped(client.reserve)
    return statements(client)
  }).pipe(Effect.catchAllCause(() => Effect.succeed(client.withoutTransforms())))
