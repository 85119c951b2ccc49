/** Rows of parameters as the table `v` of a statement. A column that is the same in all of them is sent once: most are. */
import type * as Statement from "@effect/sql/Statement"
import type { Db } from "./db.js"

export interface Column {
  readonly type: "bigint" | "integer" | "text"
  readonly values: ReadonlyArray<number | string | null>
}

const varies = ({ values }: Column): boolean => values.some((value) => value !== values[0])

const listed = (db: Db, parts: ReadonlyArray<Statement.Fragment>): Statement.Fragment =>
  parts.reduce((all, part, i) => (i === 0 ? part : db.sql`${all}, ${part}`), db.sql.literal(""))

/** The first column is always sent in full, so that there are as many rows as it has values. */
export const values = (db: Db, columns: { readonly [name: string]: Column }): Statement.Fragment => {
  const { sql } = db
  const all = Object.entries(columns)
  const rows = all.filter(([, column], i) => i === 0 || varies(column))
  const constants = all
    .filter((entry) => !rows.includes(entry))
    .map(([name, column]) => sql`${db.cast(column.values[0] ?? null, column.type)} AS ${sql.literal(name)}`)
  if (db.dialect === "pg") {
    const arrays = rows.map(([, column]) => sql`CAST(${column.values} AS ${sql.literal(column.type)}[])`)
    const names = sql.literal(rows.map(([name]) => name).join(", "))
    return sql`(SELECT ${listed(db, [sql.literal("u.*"), ...constants])} FROM unnest(${listed(db, arrays)}) AS u(${names})) AS v`
  }
  const [only, ...more] = rows.map(([, column]) => column.values)
  const json = JSON.stringify(
    more.length === 0 ? only : only?.map((first, i) => [first, ...more.map((values) => values[i])])
  )
  const read = rows.map(([name], i) =>
    sql.literal(more.length === 0 ? `value AS ${name}` : `value ->> ${i} AS ${name}`)
  )
  return sql`(SELECT ${listed(db, [...read, ...constants])} FROM json_each(${json})) AS v`
}
