/** Calls of the storage's own functions in PostgreSQL: what a job waits for, so by the shortest way. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { Db } from "./db.js"
import type { Named, Single } from "./deadline.js"
import { qualified } from "./db.js"
import { isPlain } from "./plain.js"

/** An array of ids. They are printable ASCII, which JSON and arrays quote alike. */
export const idArray = (ids: ReadonlyArray<string>): string => `{${JSON.stringify(ids).slice(1, -1)}}`

/** Those of the items that an answer names; NULL stands for all. */
export const named = <Item extends { readonly id: string }>(
  answer: string | null | undefined,
  items: ReadonlyArray<Item>
): ReadonlyArray<Item> => {
  if (answer === null) return items
  const ids = new Set<string>(JSON.parse(answer ?? "[]"))
  return items.filter(({ id }) => ids.has(id))
}

type Answer<A> = Effect.Effect<ReadonlyArray<A>, SqlError>

const statementOf = ({ schema }: Db, name: string, arity: number, answers: "rows" | "value"): Named => {
  const places = Array.from({ length: arity }, (_, i) => `$${i + 1}`).join(", ")
  const called = `${qualified(name, schema)}(${places}) AS answer`
  return {
    name: `${name.replace("dbjobq_", "")}/${arity} ${answers} ${schema ?? ""}`,
    text: answers === "rows" ? `SELECT * FROM ${called}` : `SELECT ${called}`
  }
}

/**
 * A statement of `@effect/sql` makes a span, asks for a connection and can be transformed: where none of these has
 * anything to say, the driver is called at once.
 */
const run = <A extends object>(
  { single, sql }: Db,
  { text }: Named,
  values: ReadonlyArray<unknown>,
  atOnce: (single: Single) => Answer<A>
): Answer<A> =>
  Effect.withFiberRuntime<ReadonlyArray<A>, SqlError>((fiber) =>
    single !== undefined && isPlain(fiber) ? atOnce(single) : sql.unsafe<A>(text, [...values])
  )

/** Answers with the rows of the function, or with its `value` as `answer`: such a call is planned sooner. */
export const make = (
  db: Db,
  name: string,
  arity: number,
  answers: "rows" | "value"
): (<A extends object>(values: ReadonlyArray<unknown>) => Answer<A>) => {
  const statement = statementOf(db, name, arity, answers)
  return <A extends object>(values: ReadonlyArray<unknown>) =>
    run<A>(db, statement, values, (single) => single.executeNamed(statement, values, "object"))
}

/** Answers with the rows of the function, each made of its columns by `row`: a class, where they are many and held. */
export const rows = <Columns extends ReadonlyArray<unknown>, A extends object>(
  db: Db,
  name: string,
  arity: number,
  row: (columns: Columns) => A
): ((values: ReadonlyArray<unknown>) => Answer<A>) => {
  const statement = statementOf(db, name, arity, "rows")
  return (values) =>
    run(db, statement, values, (single) =>
      Effect.map(single.executeNamed<Columns>(statement, values, "array"), (all) => all.map(row))
    )
}
