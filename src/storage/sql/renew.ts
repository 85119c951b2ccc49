import * as Effect from "effect/Effect"
import type { Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { whole } from "./db.js"
import type { Big } from "./row.js"

const key = (id: string, token: Big): string => `${token} ${id}`

export const renew =
  (db: Db): Service["renew"] =>
  (holds, lease) => {
    if (holds.length === 0) return Effect.succeed([])
    const { sql } = db
    const ids = holds.map((hold) => hold.id)
    const values =
      db.dialect === "pg"
        ? sql`unnest(CAST(${ids} AS text[]), CAST(${holds.map((hold) => hold.token)} AS bigint[])) AS v(k, held)`
        : sql`(SELECT value ->> 0 AS k, value ->> 1 AS held
  FROM json_each(${JSON.stringify(holds.map((hold) => [hold.id, hold.token]))})) AS v`
    return db
      .run(
        "renew",
        Effect.flatMap(
          db.now,
          (now) =>
            sql<{
              readonly id: string
              readonly token: Big
              readonly cancel_requested: boolean | number
            }>`UPDATE ${db.jobs}
SET lease_until = ${now} + CAST(${whole(lease)} AS bigint)
FROM ${values}
WHERE ${db.dialect === "pg" ? db.among("id", ids) : sql.literal("true")}
  AND id = v.k AND token = v.held AND owner IS NOT NULL
RETURNING id, token, cancel_requested`
        )
      )
      .pipe(
        Effect.map((rows) => {
          const held = new Map(rows.map((row) => [key(row.id, row.token), Boolean(row.cancel_requested)]))
          return holds.map((hold) => {
            const cancelled = held.get(key(hold.id, hold.token))
            return cancelled === undefined ? "lost" : cancelled ? "cancelRequested" : "held"
          })
        })
      )
  }

export const progress =
  (db: Db): Service["progress"] =>
  (hold, value, message) =>
    db
      .run(
        "progress",
        db.sql`UPDATE ${db.jobs} SET progress = ${value}, progress_message = ${message}
WHERE id = ${hold.id} AND token = ${hold.token} AND owner IS NOT NULL RETURNING id`
      )
      .pipe(Effect.map((rows) => rows.length > 0))
