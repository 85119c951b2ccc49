import * as Effect from "effect/Effect"
import type { Filter, Service, State } from "../../JobStorage.js"
import type { Db } from "./db.js"
import * as Mysql from "./mysql.js"
import type { Big, RawRow } from "./row.js"
import { decode } from "./row.js"

export const get =
  (db: Db): Service["get"] =>
  (ids) =>
    ids.length === 0
      ? Effect.succeed([])
      : db
          .run("get", db.sql<RawRow>`SELECT * FROM ${db.jobs} WHERE ${db.among("id", ids)}`)
          .pipe(Effect.map((rows) => rows.map(decode)))

const tags = {
  pg: "json_array_elements_text(CAST(tags AS json)) AS e(tag)",
  sqlite: "(SELECT value AS tag FROM json_each(tags)) AS e",
  mysql: Mysql.tags
} as const

const conditions = (db: Db, filter: Filter) => [
  ...(filter.states === undefined ? [] : [db.among("state", filter.states)]),
  ...(filter.queues === undefined ? [] : [db.among("queue", filter.queues)]),
  ...(filter.names === undefined ? [] : [db.among("name", filter.names)]),
  ...(filter.tag === undefined
    ? []
    : [db.sql`EXISTS (SELECT 1 FROM ${db.sql.literal(tags[db.dialect])} WHERE e.tag = ${filter.tag})`]),
  ...(filter.from === undefined ? [] : [db.sql`enqueued_at >= ${db.cast(filter.from, "bigint")}`]),
  ...(filter.until === undefined ? [] : [db.sql`enqueued_at < ${db.cast(filter.until, "bigint")}`])
]

export const list =
  (db: Db): Service["list"] =>
  ({ after, filter, limit }) =>
    db
      .run(
        "list",
        db.sql<RawRow>`SELECT * FROM ${db.jobs} WHERE ${db.sql.and([
          "true",
          ...(after === undefined ? [] : [db.sql`id > ${after}`]),
          ...conditions(db, filter)
        ])} ORDER BY id LIMIT ${db.atMost(limit)}`
      )
      .pipe(Effect.map((rows) => rows.map(decode)))

export const counts = (db: Db): Service["counts"] =>
  db
    .run(
      "counts",
      db.sql<{ readonly queue: string; readonly state: State; readonly count: Big }>`SELECT
  queue, state, count(*) AS count FROM ${db.jobs} GROUP BY queue, state ORDER BY queue, state`
    )
    .pipe(Effect.map((rows) => rows.map((row) => ({ queue: row.queue, state: row.state, count: Number(row.count) }))))
