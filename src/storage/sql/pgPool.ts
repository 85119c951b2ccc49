/** A pool of node-postgres, and single statements on it: each is one callback, as a job's latency is made of these. */
import { Socket } from "node:net"
import type { Connection } from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Pool, type PoolClient, type PoolConfig, type QueryResult } from "pg"
import type { Single } from "./deadline.js"
import { late } from "./deadline.js"
import { isReadOnly, isUnprepared } from "./isTransient.js"
import * as Sockets from "./sockets.js"

const failed = (cause: unknown) => Effect.fail(new SqlError({ cause, message: "Failed to execute statement" }))

/** As the driver takes it. */
interface Statement {
  readonly name?: string
  readonly text: string
  readonly rowMode?: "object" | "array"
}

const cancelling = "SELECT pg_cancel_backend($1)"

/** The number of the server's process that serves it. */
const backendOf = (client: PoolClient): unknown => Reflect.get(client, "processID")

/**
 * Each on a connection of its own, for at most so many milliseconds, the wait for a connection included. One that is
 * given up on, late or interrupted, is cancelled on the server, where that is known by its own number and not hidden by
 * a pooler, and its connection closed: it must not be lent again while the statement may still be under way. A prepared one
 * that is refused as such goes once more without a name, for as long again.
 */
export const statements = (pool: Pool, millis: number): Single => {
  /** Until a prepared statement was refused as such: behind a pooler it would be, again and again. */
  let prepares = true

  const run = <A>(
    statement: Statement,
    values: ReadonlyArray<unknown>,
    pick: (result: QueryResult) => A
  ): Effect.Effect<A, SqlError> =>
    Effect.async((resume) => {
      let client: PoolClient | undefined
      let over = false

      const release = (close: boolean) => {
        over = true
        clearTimeout(timer)
        client?.off("error", lost)
        client?.release(close)
      }
      const end = (answer: Effect.Effect<A, SqlError>, close: boolean) => {
        if (over) return
        release(close)
        resume(answer)
      }
      const lost = (cause: Error) => end(failed(cause), true)
      const giveUp = (): Effect.Effect<unknown> => {
        if (over) return Effect.void
        release(true)
        return client === undefined || statement.text === cancelling ? Effect.void : cancel(backendOf(client))
      }
      const timer = setTimeout(
        () =>
          resume(
            Effect.zipRight(
              giveUp(),
              Effect.suspend(() => late(millis))
            )
          ),
        millis
      )

      pool.connect((error, found) => {
        if (found === undefined) return end(failed(error), false)
        if (over) return found.release()
        client = found
        client.on("error", lost)
        const name = prepares ? statement.name : undefined
        const query = { ...statement, name, values: [...values] }
        client.query(query, (cause: Error | null, result: QueryResult) => {
          if (!cause) return end(Effect.succeed(pick(result)), false)
          if (name !== undefined && isUnprepared(cause)) {
            prepares = false
            return end(run(statement, values, pick), false)
          }
          // a server that a failover has demoted stays so: the next connection may lead to its successor
          end(failed(cause), isReadOnly(cause))
        })
      })
      return Effect.suspend(giveUp)
    })

  const cancel = (backend: unknown) =>
    Effect.forkDaemon(Effect.interruptible(Effect.ignore(run({ text: cancelling }, [backend], () => undefined))))

  const rows: Connection["execute"] = (text, values, transform) =>
    run({ text }, values, ({ rows: found }) => (transform === undefined ? found : transform(found)))

  return {
    execute: rows,
    executeRaw: (text, values) => run({ text }, values, (result) => result),
    executeValues: (text, values) => run({ text, rowMode: "array" }, values, (result) => result.rows),
    executeNamed: ({ name, text }, values, rowMode) => run({ name, text, rowMode }, values, (result) => result.rows),
    executeUnprepared: rows
  }
}

/** Closed with the scope; fails when the server does not answer in time. */
export const make = (
  config: PoolConfig & { readonly connectionTimeoutMillis: number }
): Effect.Effect<Pool, SqlError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const sockets = Sockets.make()
      const pool = new Pool({ ...config, stream: () => sockets.add(new Socket()) })
      // of idle connections, which the pool forgets by itself
      pool.on("error", () => {})
      return { pool, close: sockets.close(Effect.promise(() => pool.end())) }
    }),
    ({ close }) => close
  ).pipe(
    Effect.map(({ pool }) => pool),
    Effect.tap((pool) => statements(pool, config.connectionTimeoutMillis).execute("SELECT 1", [], undefined))
  )
