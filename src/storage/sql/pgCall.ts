/** Calls of the storage's own functions in PostgreSQL: what a job waits for, so by the shortest way. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { Db } from "./db.js"
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

/**
 * Answers with the rows of the function, or with its `value` as `answer`: such a call is planned sooner. A statement of
 * `@effect/sql` makes a span, asks for a connection and can be transformed: where none of these has anything to say, the
 * driver is called at once.
 */
export const make = (
  { schema, single, sql }: Db,
  name: string,
  arity: number,
  answers: "rows" | "value"
): (<A extends object>(values: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyArray<A>, SqlError>) => {
  const places = Array.from({ length: arity }, (_, i) => `$${i + 1}`).join(", ")
  const called = `${qualified(name, schema)}(${places}) AS answer`
  const text = answers === "rows" ? `SELECT * FROM ${called}` : `SELECT ${called}`
  return <A extends object>(values: ReadonlyArray<unknown>) =>
    Effect.withFiberRuntime<ReadonlyArray<A>, SqlError>((fiber) =>
      single !== undefined && isPlain(fiber)
        ? single.execute(text, values, undefined)
        : sql.unsafe<A>(text, [...values])
    )
}
