/** The one connection to a SQLite file. Its driver blocks: a statement is over when the call of it returns. */
import Database from "better-sqlite3"
import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { isContention } from "./isTransient.js"

/** `locked` by another process, and the process waited for it; `refused` for whatever else. */
export type Outcome = "written" | "refused" | "locked"

/** A statement, and how many rows it is to change. */
export interface Write {
  readonly text: string
  readonly values: ReadonlyArray<unknown>
  readonly rows: number
}

/** Runs them in one commit. Where one changes fewer rows than it is to, nothing is written. */
export type WriteAll = (writes: ReadonlyArray<Write>) => Outcome

export interface Driver {
  readonly connection: Connection
  /** Refused inside a transaction that is open, and where the file was found locked a moment ago. */
  readonly writeAll: WriteAll
}

/** So many statements are kept compiled, those that were used last. */
const most = 200

type Statement<Row> = Database.Statement<Array<unknown>, Row>
type Compile<Row> = (text: string) => Statement<Row>

const keeping = <Row>(compile: Compile<Row>): Compile<Row> => {
  const kept = new Map<string, Statement<Row>>()
  return (text) => {
    const known = kept.get(text)
    if (known !== undefined) {
      // the last in use goes last
      kept.delete(text)
      kept.set(text, known)
      return known
    }
    const made = compile(text)
    const [oldest] = kept.size < most ? [] : kept.keys()
    if (oldest !== undefined) kept.delete(oldest)
    kept.set(text, made)
    return made
  }
}

/**
 * How long a lock that was met is remembered, in milliseconds: longer than the pauses between the tries of those who wait
 * for its end, as each try blocks the process.
 */
const memory = 500

interface Lock {
  /** Whether it is one that the driver has thrown this for. */
  readonly meets: (cause: unknown) => boolean
  /** Some statement has met it a moment ago. */
  readonly isMet: () => boolean
}

const lock = (): Lock => {
  let until = 0
  return {
    meets: (cause) => {
      const met = isContention(cause)
      if (met) until = performance.now() + memory
      return met
    },
    isMet: () => performance.now() < until
  }
}

const calling =
  <Row>(compile: Compile<Row>, { meets }: Lock) =>
  <A>(text: string, use: (statement: Statement<Row>) => A): Effect.Effect<A, SqlError> =>
    Effect.contextWithEffect((context: Context.Context<never>) =>
      Either.try({
        try: () => use(compile(text).safeIntegers(Context.get(context, SqlClient.SafeIntegers))),
        catch: (cause) => {
          meets(cause)
          return new SqlError({ cause, message: "Failed to execute statement" })
        }
      })
    )

const executing = (compile: Compile<object>, met: Lock): Connection["execute"] => {
  const call = calling(compile, met)
  return (text, values, transform) => {
    const rows = call(text, (statement) => {
      if (statement.reader) return statement.all(...values)
      statement.run(...values)
      return []
    })
    return transform === undefined ? rows : Effect.map(rows, transform)
  }
}

const compiling =
  (db: Database.Database): Compile<object> =>
  (text) =>
    db.prepare<Array<unknown>, object>(text)

const connectionOn = (db: Database.Database, kept: Compile<object>, met: Lock): Connection => {
  const call = calling(kept, met)
  // apart, as such a statement stays one that answers arrays
  const callForArrays = calling(
    keeping((text) => db.prepare<Array<unknown>, ReadonlyArray<unknown>>(text)),
    met
  )
  return {
    execute: executing(kept, met),
    executeUnprepared: executing(compiling(db), met),
    executeRaw: (text, values) =>
      call(text, (statement) => (statement.reader ? statement.all(...values) : statement.run(...values))),
    executeValues: (text, values) =>
      callForArrays(text, (statement) => {
        if (statement.reader) return statement.raw().all(...values)
        statement.run(...values)
        return []
      }),
    executeStream: () => Stream.dieMessage("the SQLite driver has no streams")
  }
}

const writing = (db: Database.Database, kept: Compile<object>, { isMet, meets }: Lock): WriteAll => {
  const begin = db.prepare("BEGIN IMMEDIATE")
  const commit = db.prepare("COMMIT")
  const rollback = db.prepare("ROLLBACK")
  const each = (writes: ReadonlyArray<Write>): boolean =>
    writes.every(({ rows, text, values }) => kept(text).run(...values).changes === rows)
  const together: typeof each = (writes) => {
    begin.run()
    if (!each(writes)) return false
    commit.run()
    return true
  }
  return (writes) => {
    if (db.inTransaction || isMet()) return "refused"
    // a single statement that is to change one row is all or nothing by itself
    const done = Either.try(() => (writes.length === 1 && writes[0]?.rows === 1 ? each : together)(writes))
    if (db.inTransaction) Either.try(() => rollback.run())
    if (Either.isRight(done)) return done.right ? "written" : "refused"
    return meets(done.left) ? "locked" : "refused"
  }
}

const attempt = <A>(run: () => A): Effect.Effect<A, unknown> => Effect.try({ try: run, catch: (cause) => cause })

/** Closed with the scope; fails with what the driver throws. */
export const open = (filename: string): Effect.Effect<Driver, unknown, Scope.Scope> => {
  const close = (db: Database.Database) => Effect.sync(() => db.close())
  const opened = Effect.tap(
    attempt(() => new Database(filename)),
    (db) =>
      Effect.tapError(
        attempt(() => db.pragma("journal_mode = WAL")),
        () => close(db)
      )
  )
  return Effect.map(Effect.acquireRelease(opened, close), (db) => {
    const kept = keeping(compiling(db))
    const met = lock()
    return { connection: connectionOn(db, kept, met), writeAll: writing(db, kept, met) }
  })
}
