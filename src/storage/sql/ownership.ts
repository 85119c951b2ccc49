/**
 * Which transactions are those of the storage's client: `@effect/sql` has one tag for the transactions of all clients, so
 * inside another client's transaction our statements would run on its connection, in its database.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as AfterCommit from "./afterCommit.js"

export interface Ownership {
  /** Whether the running fiber is inside a transaction of the client. */
  readonly inTransaction: Effect.Effect<boolean>
  /** Runs the effect in the client's own transaction where there is one, and outside of another client's. */
  readonly home: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Run first thing in a transaction that was opened on the client by other means than its `withTransaction`. */
  readonly remember: Effect.Effect<void>
}

const openIn = (context: Context.Context<never>) =>
  Option.map(Context.getOption(context, SqlClient.TransactionConnection), ([connection]) => connection)

const open = Effect.contextWith(openIn)

/** Outside any transaction that the fiber may have inherited. */
export const detached = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.mapInputContext(AfterCommit.outside(effect), (context: Context.Context<R>) => {
    if (!inAny(context)) return context
    const services = new Map(context.unsafeMap)
    services.delete(SqlClient.TransactionConnection.key)
    return Context.unsafeMake<R>(services)
  })

/** The fiber of this context is inside some client's transaction. */
export const inAny = (context: Context.Context<never>): boolean =>
  context.unsafeMap.has(SqlClient.TransactionConnection.key)

/** Whether the running fiber is inside any client's transaction; where `home` has been, inside one of ours. */
export const isOpen: Effect.Effect<boolean> = Effect.contextWith(inAny)

const of = (isOwn: (connection: object) => boolean, remember: Effect.Effect<void>): Ownership => ({
  inTransaction: Effect.contextWith((context) => Option.exists(openIn(context), isOwn)),
  home: (effect) =>
    Effect.contextWithEffect((context) =>
      inAny(context)
        ? Effect.flatMap(open, (connection) => (Option.exists(connection, isOwn) ? effect : detached(effect)))
        : effect
    ),
  remember
})

const reserved = (client: SqlClient.SqlClient) => Effect.scoped(client.reserve)

/**
 * Of a client that belongs to the application, which may open transactions as it likes. Drivers make a class of
 * connections for each client, or have one connection only; where neither holds all transactions are taken for ours.
 */
export const shared = (client: SqlClient.SqlClient): Effect.Effect<Ownership> =>
  Effect.gen(function* () {
    // inside a transaction of ours there may be no connection left to reserve
    if (yield* isOpen) return (): boolean => true
    const one = yield* reserved(client)
    const another = yield* reserved(client)
    if (one === another) return (connection: object) => connection === one
    const kind: unknown = Object.getPrototypeOf(one)
    return kind === Object.prototype ? () => true : (connection: object) => Object.getPrototypeOf(connection) === kind
  }).pipe(
    // a client without transactions may die of it
    Effect.catchAllCause(() => Effect.succeed(() => true)),
    Effect.map((isOwn) => of(isOwn, Effect.void))
  )

/**
 * Of a client that the storage made: its `withTransaction` is replaced by one that remembers its connections, with
 * `around` about each.
 */
export const exclusive = (
  client: SqlClient.SqlClient,
  around: <A, E, R>(transaction: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
): Ownership => {
  const own = new WeakSet<object>()
  const ownership = of(
    (connection) => own.has(connection),
    Effect.map(open, (connection) => {
      if (Option.isSome(connection)) own.add(connection.value)
    })
  )
  const { withTransaction } = client
  Object.assign(client, {
    withTransaction: <R, E, A>(effect: Effect.Effect<A, E, R>) =>
      ownership.home(around(withTransaction(Effect.zipRight(ownership.remember, effect))))
  })
  return ownership
}
