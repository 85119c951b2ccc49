/** Rows of parameters as the table `v` of a statement. A column that is the same in all of them is sent once: most are. */
import type * as Statement from "@effect/sql/Statement"
import type { Db } from "./db.js"

export interface Column {
  readonly type: "bigint" | "integer" | "text"
  readonly values: ReadonlyArray<number | string | null>
}

const varies = ({ values }: Column): boolean => values.some((value) => value !== values[0])

export interface ById {
  /** For FROM: one row, or one for each id. */
  readonly from: Statement.Fragment
  /** Holds for the rows that are meant, and joins them to their values. */
  readonly where: Statement.Fragment
  /** The value for the row at hand, as SQL. */
  readonly of: (column: string) => string
}

/** Parts in which no id comes twice: nearly always one. */
export const distinct = <A extends { readonly id: string }>(
  items: ReadonlyArray<A>
): ReadonlyArray<ReadonlyArray<A>> => {
  if (new Set(items.map(({ id }) => id)).size === items.length) return [items]
  const parts: Array<Array<A>> = []
  const seen = new Map<string, number>()
  for (const item of items) {
    const at = seen.get(item.id) ?? 0
    seen.set(item.id, at + 1)
    const part = parts[at]
    if (part === undefined) parts.push([item])
    else part.push(item)
  }
  return parts
}

/**
 * Values for rows that are named by their ids, each once. Alike for all, as nearly always, they need no join. PostgreSQL looks up
 * the others in an object by id: with statistics from a quieter hour its planner expects a row or none, and joins
 * a thousand to a thousand by comparing each with each.
 */
export const byId = (db: Db, ids: ReadonlyArray<string>, columns: { readonly [name: string]: Column }): ById => {
  const { sql } = db
  const all = Object.entries(columns)
  const rows = all.filter(([, column]) => varies(column))
  if (rows.length > 0 && db.dialect !== "pg") {
    return {
      from: values(db, { k: { type: "text", values: ids }, ...columns }),
      where: sql`id = v.k`,
      of: (column) => `v.${column}`
    }
  }
  const one = all.map(([name, column]) =>
    varies(column)
      ? sql`CAST(${JSON.stringify(Object.fromEntries(ids.map((id, i) => [id, column.values[i]])))} AS jsonb) AS ${sql.literal(name)}`
      : constant(db, name, column)
  )
  return {
    from: sql`(SELECT ${sql.csv(one)}) AS v`,
    where: db.ids(ids),
    of: (name) => {
      const column = columns[name]
      return column === undefined || !varies(column) ? `v.${name}` : `CAST(v.${name} ->> id AS ${column.type})`
    }
  }
}

const constant = ({ sql }: Db, name: string, { type, values: [first = null] }: Column): Statement.Fragment =>
  sql`CAST(${first} AS ${sql.literal(type)}) AS ${sql.literal(name)}`

/** All columns are of one length. Rows that are the same in every column become one. */
export const values = (db: Db, columns: { readonly [name: string]: Column }): Statement.Fragment => {
  const { sql } = db
  const all = Object.entries(columns)
  const rows = all.filter(([, column]) => varies(column))
  const constants = all.filter((entry) => !rows.includes(entry)).map(([name, column]) => constant(db, name, column))
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
