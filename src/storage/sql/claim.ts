import * as Effect from "effect/Effect"
import type { Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import type { Big, RawRow } from "./row.js"
import { byClaimOrder, decode } from "./row.js"

/** Walks the ready index only, so its cost does not grow with finished or scheduled rows. */
export const claim = (db: Db): Service["claim"] => {
  const { sql } = db
  const unpaused = sql`queue NOT IN (SELECT queue FROM ${db.queues} WHERE paused)`
  return (request) =>
    request.limit <= 0 || request.names.length === 0 || request.queues?.length === 0
      ? Effect.succeed([])
      : db.run(
        "claim",
        Effect.flatMap(db.now, (now) => {
          const where = sql.and([
            "state = 'pending'",
            db.among("name", request.names),
            ...(request.queues === undefined ? [] : [db.among("queue", request.queues)]),
            ...(request.exceptQueues === undefined || request.exceptQueues.length === 0
              ? []
              : [sql`NOT (${db.among("queue", request.exceptQueues)})`]),
            unpaused
          ])
          return sql<RawRow>`UPDATE ${db.jobs} SET
  state = 'running', attempt = attempt + 1, token = token + 1, owner = ${request.owner},
  lease_until = ${now} + CAST(${request.lease} AS bigint), started_at = ${now}
WHERE ${
            db.idIn(sql`SELECT id FROM ${db.jobs} WHERE ${where}
  ORDER BY priority DESC, run_at, id LIMIT ${request.limit} ${db.skipLocked}`)
          }
RETURNING *`
        })
      ).pipe(Effect.map((rows) => rows.map(decode).sort(byClaimOrder)))
}

export const promote = (db: Db): Service["promote"] => (limit) => {
  const { sql } = db
  return db.run(
    "promote",
    Effect.gen(function*() {
      const now = yield* db.now
      const rows = limit <= 0 ? [] : yield* sql`UPDATE ${db.jobs} SET state = 'pending'
WHERE ${
        db.idIn(sql`SELECT id FROM ${db.jobs} WHERE state = 'scheduled' AND run_at <= ${now}
  ORDER BY run_at LIMIT ${limit} ${db.skipLocked}`)
      }
RETURNING id`
      const next = yield* sql<{ readonly run_at: Big; readonly now: Big }>`SELECT run_at, ${now} AS now FROM ${db.jobs}
WHERE state = 'scheduled' ORDER BY run_at LIMIT 1`
      const first = next[0]
      return {
        promoted: rows.length,
        nextIn: first === undefined ? undefined : Math.max(0, Number(first.run_at) - Number(first.now))
      }
    })
  )
}
