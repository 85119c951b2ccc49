/** Values as parameters of a statement, as its table `v`. A column that is the same for all is sent once: most are. */
import type * as Statement from "@effect/sql/Statement"
import type { Db } from "./db.js"

type Value = number | string | null

interface Column<Item> {
  readonly type: "bigint" | "integer" | "text"
  readonly of: (item: Item) => Value
}

export interface Columns<Item> {
  readonly [name: string]: Column<Item>
}

const sorted = <Item>({ sql }: Db, items: ReadonlyArray<Item>, columns: Columns<Item>) => {
  const varied: Array<readonly [name: string, column: Column<Item>]> = []
  const constants: Array<Statement.Fragment> = []
  const head = items[0]
  for (const [name, column] of Object.entries(columns)) {
    const { of, type } = column
    const first = head === undefined ? null : of(head)
    if (items.some((item) => of(item) !== first)) varied.push([name, column])
    else constants.push(sql`CAST(${first} AS ${sql.literal(type)}) AS ${sql.literal(name)}`)
  }
  return { varied, constants }
}

const table = <Item>(
  { dialect, sql }: Db,
  items: ReadonlyArray<Item>,
  { constants, varied }: ReturnType<typeof sorted<Item>>
): Statement.Fragment => {
  if (varied.length === 0) return sql`(SELECT ${sql.csv(constants)}) AS v`
  if (dialect === "pg") {
    const arrays = varied.map(([, { of, type }]) => sql`CAST(${items.map(of)} AS ${sql.literal(type)}[])`)
    const names = sql.literal(varied.map(([name]) => name).join(", "))
    return sql`(SELECT ${sql.csv(["u.*", ...constants])} FROM unnest(${sql.csv(arrays)}) AS u(${names})) AS v`
  }
  const [only, second] = varied
  const rowOf: (item: Item) => Value | ReadonlyArray<Value> =
    only !== undefined && second === undefined ? only[1].of : (item) => varied.map(([, { of }]) => of(item))
  const json = JSON.stringify(items.map(rowOf))
  const read = varied.map(([name], i) => (second === undefined ? `value AS ${name}` : `value ->> ${i} AS ${name}`))
  return sql`(SELECT ${sql.csv([...read, ...constants])} FROM json_each(${json})) AS v`
}

/** One row for each item; rows that are the same in every column become one. */
export const values = <Item>(db: Db, items: ReadonlyArray<Item>, columns: Columns<Item>): Statement.Fragment =>
  table(db, items, sorted(db, items, columns))

/** Of items that are named by their ids, each once. */
const objectOf = <Item extends { readonly id: string }>(
  items: ReadonlyArray<Item>,
  of: (item: Item) => Value
): string => JSON.stringify(Object.fromEntries(items.map((item) => [item.id, of(item)])))

/** A column of items that are named by their ids, each once: the value that all have, else a JSON object by id. */
export const oneOrById = <Item extends { readonly id: string }>(
  items: ReadonlyArray<Item>,
  of: (item: Item) => Value
): readonly [one: Value, byId: string | null] => {
  const [head] = items
  const first = head === undefined ? null : of(head)
  return items.every((item) => of(item) === first) ? [first, null] : [null, objectOf(items, of)]
}

export interface ById {
  /** For FROM: one row, or one for each id. */
  readonly from: Statement.Fragment
  /** Holds for the rows that are meant, and joins them to their values. */
  readonly where: Statement.Fragment
  /** The value for the row at hand, as SQL. */
  readonly of: (column: string) => string
}

/**
 * Values for rows that are named by their ids, each once. Alike for all, as nearly always, they need no join. PostgreSQL
 * looks up the others in an object by id: with statistics from a quieter hour its planner expects a row or none, and
 * joins a thousand to a thousand by comparing each with each.
 */
export const byId = <Item extends { readonly id: string }>(
  db: Db,
  items: ReadonlyArray<Item>,
  columns: Columns<Item>
): ById => {
  const { sql } = db
  const { constants, varied } = sorted(db, items, columns)
  if (varied.length > 0 && db.dialect !== "pg") {
    const all = { constants, varied: [["k", { type: "text", of: ({ id }: Item) => id }] as const, ...varied] }
    return { from: table(db, items, all), where: sql`id = v.k`, of: (name) => `v.${name}` }
  }
  const objects = varied.map(([name, { of }]) => sql`CAST(${objectOf(items, of)} AS jsonb) AS ${sql.literal(name)}`)
  const looked = new Map(varied.map(([name, { type }]) => [name, `CAST(v.${name} ->> id AS ${type})`]))
  return {
    from: sql`(SELECT ${sql.csv([...constants, ...objects])}) AS v`,
    where: db.ids(items.map(({ id }) => id)),
    of: (name) => looked.get(name) ?? `v.${name}`
  }
}
