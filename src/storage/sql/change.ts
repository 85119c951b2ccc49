/** Statements that change rows and say which; MySQL has no RETURNING, so there the rows are locked and read first. */
import type { SqlError } from "@effect/sql/SqlError"
import type * as Statement from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import type { Wakeup } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { isOpen } from "./ownership.js"

/** The rows of `table` that `where` holds for, or whose ids `pick` selects under locks of its own. */
type Rows = { readonly table: Statement.Fragment } & (
  | { readonly where: Statement.Fragment; readonly pick?: undefined }
  | { readonly pick: Statement.Fragment; readonly where?: undefined }
)

type Update = Rows & {
  readonly set: Statement.Fragment
  /** One row of values that `set` uses. */
  readonly from?: Statement.Fragment | undefined
  /** Columns to answer with, as they are after the change. */
  readonly returning: string
  /** Tells the workers when any row is changed. */
  readonly tells?: Wakeup | undefined
}

const condition = (db: Db, rows: Rows) => (rows.pick === undefined ? rows.where : db.idIn(rows.pick))

/** A transaction of its own unless one is open already. */
export const unit = <A>(
  db: Db,
  effect: Effect.Effect<A, SqlError | StorageError>
): Effect.Effect<A, SqlError | StorageError> =>
  Effect.flatMap(isOpen, (inside) => (inside ? effect : db.withTransaction(effect)))

interface Id {
  readonly id: string
}

/** In the order of their ids, so that two writers wait for each other instead of deadlocking. */
const lock = (db: Db, rows: Rows) =>
  Effect.map(
    rows.pick === undefined
      ? db.sql<Id>`SELECT id FROM ${rows.table} WHERE ${rows.where} ORDER BY id FOR UPDATE`
      : db.sql<Id>`${rows.pick}`,
    (found) => found.map((row) => row.id)
  )

/** What is picked by the clock is nearly always nothing, and to find that out takes no transaction. */
const whenAny = <A>(
  db: Db,
  rows: Rows,
  work: Effect.Effect<ReadonlyArray<A>, SqlError | StorageError>
): Effect.Effect<ReadonlyArray<A>, SqlError | StorageError> =>
  rows.pick === undefined
    ? unit(db, work)
    : Effect.flatMap(db.sql`${rows.pick}`, (found) => (found.length === 0 ? Effect.succeed([]) : unit(db, work)))

const updateMysql = <A extends object>(db: Db, update: Update) =>
  whenAny<A>(
    db,
    update,
    Effect.gen(function* () {
      const ids = yield* lock(db, update)
      if (ids.length === 0) return []
      const where = db.among("id", ids)
      const tables = update.from === undefined ? update.table : db.sql`${update.table}, ${update.from}`
      yield* db.sql`UPDATE ${tables} SET ${update.set} WHERE ${where}`
      if (update.tells !== undefined) yield* db.tell(update.tells)
      return yield* db.sql<A>`SELECT ${db.sql.literal(update.returning)} FROM ${update.table} WHERE ${where} ${db.latest}`
    })
  )

/** Changes rows and answers with them. */
export const update = <A extends object>(
  db: Db,
  change: Update
): Effect.Effect<ReadonlyArray<A>, SqlError | StorageError> => {
  if (db.dialect === "mysql") return updateMysql<A>(db, change)
  const { sql } = db
  const head = sql`UPDATE ${change.table} SET ${change.set}`
  const tail = sql`WHERE ${condition(db, change)}`
  const statement = change.from === undefined ? sql`${head}\n${tail}` : sql`${head}\nFROM ${change.from}\n${tail}`
  return change.tells === undefined
    ? sql<A>`${statement} RETURNING ${sql.literal(change.returning)}`
    : db.telling<A>(change.tells, change.returning, statement)
}

/** Deletes rows and answers with their ids. */
export const remove = (db: Db, rows: Rows): Effect.Effect<ReadonlyArray<string>, SqlError | StorageError> => {
  const { sql } = db
  if (db.dialect !== "mysql") {
    return Effect.map(sql<Id>`DELETE FROM ${rows.table} WHERE ${condition(db, rows)} RETURNING id`, (gone) =>
      gone.map((row) => row.id)
    )
  }
  return whenAny(
    db,
    rows,
    Effect.tap(lock(db, rows), (ids) =>
      ids.length === 0 ? Effect.void : sql`DELETE FROM ${rows.table} WHERE ${db.among("id", ids)}`
    )
  )
}
