/**
 * Which transactions are those of the storage's client: `@effect/sql` has one tag for the transactions of all clients, so
 * inside another client's transaction our statements would run on its connection, in its database.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

export interface Ownership {
  /** Whether the running fiber is inside a transaction of the client. */
  readonly inTransaction: Effect.Effect<boolean>
  /** Runs the effect in the client's own transaction where there is one, and outside of another client's. */
  readonly home: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Run first thing in a transaction that was opened on the client by other means than its `withTransaction`. */
  readonly remember: Effect.Effect<void>
}

const open = Effect.map(
  Effect.serviceOption(SqlClient.TransactionConnection),
  Option.map(([connection]) => connection)
)

/** Outside any transaction that the fiber may have inherited. */
export const detached = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.mapInputContext(effect, (context: Context.Context<R>) => {
    if (!context.unsafeMap.has(SqlClient.TransactionConnection.key)) return context
    const services = new Map(context.unsafeMap)
    services.delete(SqlClient.TransactionConnection.key)
    return Context.unsafeMake<R>(services)
  })

/** Of a client that belongs to the application: it has no other, as far as anyone can tell. */
export const shared: Ownership = {
  inTransaction: Effect.map(open, Option.isSome),
  home: (effect) => effect,
  remember: Effect.void
}

/**
 * Of a client that the storage made: its `withTransaction` is replaced by one that remembers its connections, with
 * `around` about each.
 */
export const exclusive = (
  client: SqlClient.SqlClient,
  around: <A, E, R>(transaction: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
): Ownership => {
  const own = new WeakSet<object>()
  const isOwn = (connection: Option.Option<object>) => Option.isSome(connection) && own.has(connection.value)
  const home: Ownership["home"] = (effect) =>
    Effect.flatMap(open, (connection) =>
      Option.isNone(connection) || own.has(connection.value) ? effect : detached(effect)
    )
  const remember = Effect.map(open, (connection) => {
    if (Option.isSome(connection)) own.add(connection.value)
  })
  const { withTransaction } = client
  Object.assign(client, {
    withTransaction: <R, E, A>(effect: Effect.Effect<A, E, R>) =>
      home(around(withTransaction(Effect.zipRight(remember, effect))))
  })
  return { inTransaction: Effect.map(open, isOwn), home, remember }
}
