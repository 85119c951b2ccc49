/** What every statement file needs: the client, the table names, the clock and the error mapping. */
import * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import type { Connection } from "@effect/sql/SqlConnection"
import type * as Statement from "@effect/sql/Statement"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import { StorageError } from "../../JobError.js"
import type { Wakeup } from "../../JobStorage.js"
import { affected } from "./affected.js"
import * as AfterCommit from "./afterCommit.js"
import * as Deadline from "./deadline.js"
import { describe, isContention, isTransient } from "./isTransient.js"
import { liveClock } from "../../internal/liveClock.js"
import * as Mysql from "./mysql.js"
import { inAny, isOpen, type Ownership } from "./ownership.js"

export type Dialect = "pg" | "sqlite" | "mysql"

export interface Db {
  readonly sql: Statement.Constructor
  readonly dialect: Dialect
  readonly storeClock: boolean
  readonly schema: string | undefined
  /** The driver's own way to run a single statement, where it lends one. */
  readonly single: Deadline.Deadline["single"]
  /** The NOTIFY channel; undefined where the store has none. */
  readonly channel: string | undefined
  readonly jobs: Statement.Fragment
  readonly queues: Statement.Fragment
  readonly schedules: Statement.Fragment
  /** The present, as an SQL expression that an index condition may use. */
  readonly now: Effect.Effect<Statement.Fragment>
  /** The present, as functions of ours take it: null where the store's own clock judges. */
  readonly present: Effect.Effect<number | null>
  readonly skipLocked: Statement.Fragment
  /** Ends a query that must see what others have committed, also in a transaction that began before. */
  readonly latest: Statement.Fragment
  /** The jobs table, read by this index and no other. */
  readonly jobsBy: (index: string) => Statement.Fragment
  /** Columns that narrow an index to the rows it is for, where there are no partial indexes. */
  readonly dueAt: Statement.Fragment
  readonly finishedState: Statement.Fragment
  readonly cast: (value: number | string | null, type: "bigint" | "integer" | "text") => Statement.Fragment
  /** A number of rows: SQLite compiles a statement again for each value that a bare parameter of LIMIT is given. */
  readonly atMost: (rows: number) => Statement.Fragment
  /** `column` is one of the list. */
  readonly among: (column: string, list: ReadonlyArray<string>) => Statement.Fragment
  /** `id` is one of those, many, that rows have: sent as one text, and no planner weighs its members one by one. */
  readonly ids: (list: ReadonlyArray<string>) => Statement.Fragment
  /** `id` is one of the query's rows; the query runs once and its locks are taken first. */
  readonly idIn: (query: Statement.Fragment) => Statement.Fragment
  /** Tells the workers of this process: at once, or when the transaction that is open commits. */
  readonly tell: (wakeup: Wakeup) => Effect.Effect<void>
  /**
   * A statement that returns the `columns` of the rows it changes, and tells the workers when there are any. MySQL has no
   * RETURNING: there it tells whenever it matched any, and returns nothing.
   */
  readonly telling: <A extends object>(
    wakeup: Wakeup,
    columns: string,
    statement: Statement.Fragment
  ) => Effect.Effect<ReadonlyArray<A>, SqlError>
  /** Runs one statement, or a few that may be repeated, retrying while other writers are in the way. */
  readonly run: <A>(
    operation: string,
    effect: Effect.Effect<A, SqlError | StorageError>
  ) => Effect.Effect<A, StorageError>
  /** The same in one transaction. */
  readonly atomic: <A>(
    operation: string,
    effect: Effect.Effect<A, SqlError | StorageError>
  ) => Effect.Effect<A, StorageError>
  readonly withTransaction: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StorageError, R>
}

export const storageError = (operation: string, cause: unknown): StorageError =>
  cause instanceof StorageError
    ? cause
    : new StorageError({
        operation,
        message: `${operation}: ${describe(cause)}`,
        isTransient: isTransient(cause),
        cause
      })

const retryFor = 10_000

/** Who passes it waits until those before are through with all of their tries. */
type Lane = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** Retries while another writer is in the way. */
const insist = <A, E, R>(effect: Effect.Effect<A, E, R>, again: (error: E) => boolean): Effect.Effect<A, E, R> => {
  const until = liveClock.unsafeCurrentTimeMillis() + retryFor
  const attempt = (pause: number): Effect.Effect<A, E, R> =>
    Effect.catchAll(effect, (error) =>
      again(error) && liveClock.unsafeCurrentTimeMillis() < until
        ? Effect.zipRight(
            Effect.withClock(
              Effect.flatMap(Random.next, (unit) => Effect.sleep(pause * (0.5 + unit))),
              liveClock
            ),
            attempt(Math.min(pause * 2, 250))
          )
        : Effect.fail(error)
    )
  return attempt(5)
}

/** The same, but inside a transaction the caller must decide. */
export const retryContention = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  again: (error: E) => boolean,
  lane: Lane = identity
): Effect.Effect<A, E, R> =>
  Effect.contextWithEffect((context: Context.Context<R>) => (inAny(context) ? effect : lane(insist(effect, again))))

/** Whatever went wrong, for a reason that callers may look at. */
const stated = (operation: string, cause: Cause.Cause<unknown>): Effect.Effect<never, StorageError> => {
  const failure = Cause.failureOrCause(cause)
  if (Either.isLeft(failure)) return Effect.fail(storageError(operation, failure.left))
  const defect = Cause.dieOption(cause)
  return Option.isSome(defect) ? Effect.fail(storageError(operation, defect.value)) : Effect.failCause(failure.right)
}

const contended = (error: StorageError): boolean => isContention(error.cause)

const begin: { readonly [D in Dialect]: string } = {
  pg: "BEGIN",
  sqlite: "BEGIN IMMEDIATE",
  // REPEATABLE READ locks the gaps between rows too, where producers and claimers would wait for each other
  mysql: "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION"
}

const transactions = (
  sql: SqlClient.SqlClient,
  dialect: Dialect,
  { home, remember }: Ownership,
  deadline: Deadline.Deadline | undefined
) => {
  const commitFailures = new WeakSet<object>()
  const reserve = deadline === undefined ? sql.reserve : Deadline.reserve(deadline, sql)
  const control = (connection: Connection, statement: string) => {
    const bounded = deadline === undefined ? connection : Deadline.inTransaction(deadline, connection)
    return bounded.executeUnprepared(statement, [], undefined)
  }
  const transact = SqlClient.makeWithTransaction({
    transactionTag: SqlClient.TransactionConnection,
    spanAttributes: [],
    acquireConnection: Effect.flatMap(Scope.make(), (scope) =>
      Scope.extend(reserve, scope).pipe(
        Effect.map((connection) => [scope, connection] as const),
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
      )
    ),
    begin: (connection) => control(connection, begin[dialect]),
    savepoint: (connection, id) => control(connection, `SAVEPOINT effect_sql_${id}`),
    commit: (connection) =>
      control(connection, "COMMIT").pipe(
        // a failed COMMIT leaves SQLite inside the transaction, and the library turns the error into a defect
        Effect.tapError((error) => {
          commitFailures.add(error)
          return Effect.ignore(control(connection, "ROLLBACK"))
        })
      ),
    // after a failed BEGIN there is nothing to roll back, and saying so would hide the reason
    rollback: (connection) => Effect.ignore(control(connection, "ROLLBACK")),
    rollbackSavepoint: (connection, id) => Effect.ignore(control(connection, `ROLLBACK TO SAVEPOINT effect_sql_${id}`))
  })

  /** `begun` tells a BEGIN that failed (the body never ran) from all else. */
  const once = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.suspend(() => {
      let begun = false
      let failed: Cause.Cause<E> | undefined
      const body = Effect.suspend(() => {
        begun = true
        return Effect.catchAllCause(Effect.zipRight(remember, effect), (cause) => {
          failed = cause
          return Effect.fail(new SqlError({ cause: undefined, message: "rolled back" }))
        })
      })
      return Effect.catchAllCause(transact(body), (cause): Effect.Effect<never, E | StorageError> => {
        if (failed !== undefined) return Effect.failCause(failed)
        const failure = Cause.failureOrCause(cause)
        if (Either.isLeft(failure)) return Effect.fail(storageError(begun ? "commit" : "begin", failure.left))
        for (const defect of Cause.defects(cause)) {
          if (typeof defect === "object" && defect !== null && commitFailures.has(defect)) {
            return Effect.fail(storageError("commit", defect))
          }
        }
        return Effect.failCause(failure.right)
      })
    })

  return <A, E, R>(effect: Effect.Effect<A, E, R>, lane: Lane): Effect.Effect<A, E | StorageError, R> =>
    home(
      retryContention(
        once(effect),
        (error) => error instanceof StorageError && error.operation === "begin" && contended(error),
        lane
      )
    )
}

/** @internal */
export const make = (options: {
  readonly sql: SqlClient.SqlClient
  readonly dialect: Dialect
  readonly storeClock: boolean
  readonly schema: string | undefined
  readonly ownership: Ownership
  readonly deadline: Deadline.Deadline | undefined
  /** The statements, where the client's own will not do. */
  readonly statements?: Statement.Constructor | undefined
  /** Tells the workers of this process, where the store tells nobody. */
  readonly tell: (wakeup: Wakeup) => void
}): Db => {
  // a user's name transforms would rename our columns and the keys inside our JSON
  const plain = options.sql.withoutTransforms()
  const sql =
    options.deadline === undefined ? (options.statements ?? plain) : Deadline.statements(options.deadline, plain)
  const pg = options.dialect === "pg"
  const mysql = options.dialect === "mysql"
  const table = (name: string) => sql.literal(qualified(name, options.schema))
  const transact = transactions(options.sql, options.dialect, options.ownership, options.deadline)
  // each try on a locked file blocks the event loop for a moment: one caller tries, the others wait without blocking
  const lane: Lane = options.dialect === "sqlite" ? Effect.unsafeMakeSemaphore(1).withPermits(1) : identity
  const within =
    (way: Lane): Db["withTransaction"] =>
    (effect) =>
      mysql ? AfterCommit.collect(transact(effect, way)) : transact(effect, way)
  const transaction = within(identity)
  const run: Db["run"] = (operation, effect) => {
    const stating = Effect.catchAllCause(effect, (cause) => stated(operation, cause))
    return Effect.contextWithEffect((context: Context.Context<never>) =>
      inAny(context)
        ? options.ownership.home(retryContention(stating, contended, lane))
        : lane(insist(stating, contended))
    )
  }
  // a scalar subquery is evaluated once, so the volatile clock does not keep an index from being used
  const storeNow = sql.literal("(SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)")
  const cast: Db["cast"] = (value, type) => sql`CAST(${value} AS ${sql.literal(mysql ? Mysql.casts[type] : type)})`
  const channel = pg ? (options.schema === undefined ? "dbjobq" : `dbjobq_${options.schema}`) : undefined
  // the wake-up goes along in the same statement, so it is sent if and only if the rows are changed
  const tellingPg: Db["telling"] = <A extends object>(wakeup: Wakeup, columns: string, statement: Statement.Fragment) =>
    sql<A>`WITH changed AS (${statement} RETURNING ${sql.literal(columns)}),
told AS (SELECT pg_notify(${channel}, ${wakeup}) WHERE EXISTS (SELECT 1 FROM changed))
SELECT ${sql.literal(columns)}, (SELECT count(*) FROM told) AS told FROM changed`
  // inside a transaction the hint comes early: the claim it prompts waits for the one connection, so for the commit
  const tellingSqlite: Db["telling"] = <A extends object>(
    wakeup: Wakeup,
    columns: string,
    statement: Statement.Fragment
  ) =>
    Effect.tap(sql<A>`${statement} RETURNING ${sql.literal(columns)}`, (rows) =>
      rows.length > 0 ? Effect.sync(() => options.tell(wakeup)) : Effect.void
    )
  const tellAfterCommit = AfterCommit.make(options.tell)
  const tell = (wakeup: Wakeup) => Effect.flatMap(isOpen, (inside) => tellAfterCommit(wakeup, inside))
  const tellingMysql: Db["telling"] = (wakeup, _columns, statement) =>
    Effect.flatMap(sql`${statement}`.raw, (answer) =>
      Effect.as(affected(answer) !== 0 ? tell(wakeup) : Effect.void, [])
    )
  const among: Db["among"] = pg
    ? (column, list) => sql`${sql.literal(column)} = ANY(CAST(${list} AS text[]))`
    : mysql
      ? (column, list) => Mysql.among(sql, column, list)
      : (column, list) => sql`${sql.literal(column)} IN (SELECT value FROM json_each(${JSON.stringify(list)}))`
  const jobs = table("dbjobq_jobs")
  return {
    sql,
    dialect: options.dialect,
    storeClock: options.storeClock,
    schema: options.schema,
    single: options.deadline?.single,
    channel,
    jobs,
    queues: table("dbjobq_queues"),
    schedules: table("dbjobq_schedules"),
    now: options.storeClock
      ? Effect.succeed(mysql ? sql.literal(Mysql.now) : storeNow)
      : Effect.map(Clock.currentTimeMillis, (now) => cast(now, "bigint")),
    present: options.storeClock ? Effect.succeed(null) : Clock.currentTimeMillis,
    skipLocked: sql.literal(options.dialect === "sqlite" ? "" : "FOR UPDATE SKIP LOCKED"),
    latest: sql.literal(mysql ? "LOCK IN SHARE MODE" : ""),
    jobsBy: mysql ? (index) => sql`${jobs} FORCE INDEX (${sql.literal(index)})` : () => jobs,
    dueAt: sql.literal(mysql ? "due_at" : "run_at"),
    finishedState: sql.literal(mysql ? "finished_state" : "state"),
    cast,
    atMost: options.dialect === "sqlite" ? (rows) => cast(rows, "integer") : (rows) => sql`${rows}`,
    among,
    ids: pg
      ? (list) => sql`id = ANY(ARRAY(SELECT json_array_elements_text(CAST(${JSON.stringify(list)} AS json))))`
      : (list) => among("id", list),
    idIn: pg ? (query) => sql`id = ANY(ARRAY(${query}))` : (query) => sql`id IN (${query})`,
    tell,
    telling: pg ? tellingPg : mysql ? tellingMysql : tellingSqlite,
    run,
    // it has the lane already
    atomic: (operation, effect) => run(operation, transaction(effect)),
    withTransaction: within(lane)
  }
}

/** Backoff with jitter has fractions, the columns have not. */
export const whole = (millis: number): number => Math.max(0, Math.ceil(millis))

export const qualified = (name: string, schema: string | undefined): string =>
  schema === undefined ? name : `"${schema}".${name}`
