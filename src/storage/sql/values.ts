/** Rows of parameters as the table `v` of a statement. A column that is the same in all of them is sent once: most are. */
import type * as Statement from "@effect/sql/Statement"
import type { Db } from "./db.js"

export interface Column {
  readonly type: "bigint" | "integer" | "text"
  readonly values: ReadonlyArray<number | string | null>
}

const varies = ({ values }: Column): boolean => values.some((value) => value !== values[0])

/** All columns are of one length. Rows that are the same in every column become one. */
export const values = (db: Db, columns: { readonly [name: string]: Column }): Statement.Fragment => {
  const { sql } = db
  const all = Object.entries(columns)
  const rows = all.filter(([, column]) => varies(column))
  const constants = all
    .filter((entry) => !rows.includes(entry))
    .map(
      ([
        name,
        {
          type,
          values: [first = null]
        }
      ]) => sql`CAST(${first} AS ${sql.literal(type)}) AS ${sql.literal(name)}`
    )
  if (rows.length === 0) return sql`(SELECT ${sql.csv(constants)}) AS v`
  if (db.dialect === "pg") {
    const arrays = rows.map(([, column]) => sql`CAST(${column.values} AS ${sql.literal(column.type)}[])`)
    const names = sql.literal(rows.map(([name]) => name).join(", "))
    return sql`(SELECT ${sql.csv(["u.*", ...constants])} FROM unnest(${sql.csv(arrays)}) AS u(${names})) AS v`
  }
  const [only, ...more] = rows.map(([, column]) => column.values)
  const json = JSON.stringify(
    more.length === 0 ? only : only?.map((first, i) => [first, ...more.map((values) => values[i])])
  )
  const read = rows.map(([name], i) => (more.length === 0 ? `value AS ${name}` : `value ->> ${i} AS ${name}`))
  return sql`(SELECT ${sql.csv([...read, ...constants])} FROM json_each(${json})) AS v`
}
