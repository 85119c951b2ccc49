/** A bound on how long a statement waits for the server: a peer that has vanished neither answers nor closes. */
import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import * as Statement from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { isReadOnly } from "./isTransient.js"
import * as Patience from "../../internal/patience.js"

export interface Deadline {
  readonly millis: number
  /** How the driver writes a statement, and what it tells in its spans. */
  readonly compiler: Statement.Compiler
  readonly spanAttributes: ReadonlyArray<readonly [string, unknown]>
  /** Closes the connection, so that its pool forgets it, and ends on the server what it was busy with. */
  readonly breakOff: (connection: Connection) => Effect.Effect<void>
  /** Runs single statements and keeps the time itself, where the driver lets it; else a connection is reserved for each. */
  readonly single?: Single | undefined
}

/** A driver's own way to run a statement by itself. */
export interface Single extends Omit<Connection, "executeStream"> {
  /** Runs a statement that is prepared once a connection; its rows are objects, or arrays. */
  readonly executeNamed: <Row>(
    statement: Named,
    values: ReadonlyArray<unknown>,
    rowMode: "object" | "array"
  ) => Effect.Effect<ReadonlyArray<Row>, SqlError>
}

/** Whoever uses the same connections, through a pooler too, gives the name to this text only. */
export interface Named {
  /** At most 63 bytes. */
  readonly name: string
  readonly text: string
}

class Late extends Error {
  readonly code = "ETIMEDOUT"
}

export const late = (millis: number): SqlError => {
  const cause = new Late(`no answer from the server within ${millis} ms`)
  return new SqlError({ cause, message: cause.message })
}

const within = <A, R>(
  millis: number,
  call: Effect.Effect<A, SqlError, R>,
  breakOff: Effect.Effect<void>,
  interrupt?: (call: Fiber.Fiber<unknown>) => Effect.Effect<unknown>
): Effect.Effect<A, SqlError, R> =>
  Patience.within(
    call,
    millis,
    Effect.zipRight(
      breakOff,
      Effect.suspend(() => late(millis))
    ),
    { interrupt }
  )

type Bounded = <A>(call: Effect.Effect<A, SqlError>) => Effect.Effect<A, SqlError>

const over = (connection: Connection, bounded: Bounded): Connection => ({
  execute: (...call) => bounded(connection.execute(...call)),
  executeRaw: (...call) => bounded(connection.executeRaw(...call)),
  executeValues: (...call) => bounded(connection.executeValues(...call)),
  executeUnprepared: (...call) => bounded(connection.executeUnprepared(...call)),
  executeStream: (...call) => connection.executeStream(...call)
})

/** A connection inside a transaction: one that did not answer in time has lost that transaction. */
export const inTransaction = ({ breakOff, millis }: Deadline, connection: Connection): Connection =>
  // what an interruption cancels on the server must be over before the connection is used again
  over(connection, (call) => within(millis, call, breakOff(connection), Fiber.interrupt))

/** A connection for one statement: the pool must not lend it again while that may still be under way. */
const forOne = ({ breakOff, millis }: Deadline, connection: Connection): Connection =>
  over(connection, (call) =>
    within(millis, call, breakOff(connection)).pipe(
      Effect.onInterrupt(() => breakOff(connection)),
      // a server that a failover has demoted stays so: the next connection may lead to its successor
      Effect.tapError((error) => (isReadOnly(error) ? breakOff(connection) : Effect.void))
    )
  )

/** A connection of the pool, which interrupted or late leaves no one lent out: drivers forget whom it was for. */
export const reserve = (deadline: Deadline, sql: SqlClient.SqlClient): SqlClient.SqlClient["reserve"] =>
  within(deadline.millis, Effect.uninterruptible(sql.reserve), Effect.void)

/** A connection for one statement. */
const single = (deadline: Deadline, sql: SqlClient.SqlClient): Connection.Acquirer => {
  const reserved = reserve(deadline, sql)
  if (deadline.single === undefined) return Effect.map(reserved, (connection) => forOne(deadline, connection))
  return Effect.succeed({
    ...deadline.single,
    executeStream: (...call) => Stream.unwrapScoped(Effect.map(reserved, (one) => one.executeStream(...call)))
  })
}

/** The client's statements, each under the deadline, also inside a transaction that is open. */
export const statements = (deadline: Deadline, sql: SqlClient.SqlClient): Statement.Constructor => {
  const outside = single(deadline, sql)
  return Statement.make(
    Effect.flatMap(
      Effect.serviceOption(SqlClient.TransactionConnection),
      Option.match({
        onNone: () => outside,
        onSome: ([connection]) => Effect.succeed(inTransaction(deadline, connection))
      })
    ),
    deadline.compiler,
    deadline.spanAttributes,
    undefined
  )
}
