/** What MySQL and MariaDB need beside the shared statements. Every text here is understood by both. */
import type * as Statement from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import { chunks } from "./chunks.js"

/**
 * Compares byte by byte, trailing blanks included. The two servers have no such collation in common, so each reads the
 * comment that is meant for it.
 */
export const binary = "CHARACTER SET utf8mb4 COLLATE /*!80017 utf8mb4_0900_bin *//*M!101100 utf8mb4_nopad_bin */"

/** The present in epoch milliseconds, whatever the session's time zone. */
export const now = "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)"

export const casts = { bigint: "SIGNED", integer: "SIGNED", text: "CHAR" } as const

const types = {
  text: `longtext ${binary}`,
  key: `varchar(1000) ${binary}`,
  integer: "integer",
  bigint: "bigint"
} as const

/** Tuples as the rows of a table `v` with these columns, so that a statement's text does not depend on their number. */
export const values = (
  sql: Statement.Constructor,
  columns: { readonly [name: string]: keyof typeof types },
  tuples: ReadonlyArray<ReadonlyArray<string | number | null>>
): Statement.Fragment =>
  sql`JSON_TABLE(${JSON.stringify(tuples)}, '$[*]' COLUMNS (${sql.literal(
    Object.entries(columns)
      .map(([name, type], at) => `${name} ${types[type]} PATH '$[${at}]' ERROR ON ERROR`)
      .join(", ")
  )})) AS v`

/** What the unique index holds for a job that is not finished: name and key are too long together for an index. */
export const hash = (name: string, key: string): string => `unhex(sha2(concat(${name}, x'00', ${key}), 256))`

export const tags = `JSON_TABLE(tags, '$[*]' COLUMNS (tag ${types.key} PATH '$')) AS e`

/**
 * `column` is one of the list. The values are bound one by one, as only then the index is used in every kind of
 * statement, and filled up to a power of two, so that there are few texts to prepare.
 */
export const among = (sql: Statement.Constructor, column: string, list: ReadonlyArray<string>): Statement.Fragment => {
  const [first] = list
  if (first === undefined) return sql.literal("FALSE")
  const size = 2 ** Math.ceil(Math.log2(list.length))
  return sql`${sql.literal(column)} IN ${sql.in([...list, ...Array.from({ length: size - list.length }, () => first)])}`
}

/** The most ids that one statement names. */
const most = 1_000

/** An operation that is atomic for each item, on any number of them. */
export const split =
  <A, Rest extends ReadonlyArray<unknown>, B, E>(
    operation: (items: ReadonlyArray<A>, ...rest: Rest) => Effect.Effect<ReadonlyArray<B>, E>
  ) =>
  (items: ReadonlyArray<A>, ...rest: Rest): Effect.Effect<ReadonlyArray<B>, E> =>
    items.length <= most
      ? operation(items, ...rest)
      : Effect.map(
          Effect.forEach(
            chunks(items, most, () => 0),
            (part) => operation(part, ...rest)
          ),
          (parts) => parts.flat()
        )

/** In the order of their ids, in which every statement locks rows. */
export const inOrder = <A extends { readonly id: string }>(items: ReadonlyArray<A>): ReadonlyArray<A> =>
  [...items].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
