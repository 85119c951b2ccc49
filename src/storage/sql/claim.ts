import * as Effect from "effect/Effect"
import type { ClaimRequest, Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { qualified, whole } from "./db.js"
import type { Big, RawClaimed } from "./row.js"
import { byClaimOrder, claimedColumns, decodeClaimed } from "./row.js"

const candidatesPg = (db: Db, request: ClaimRequest) =>
  db.sql`SELECT ready FROM ${db.sql.literal(qualified("dbjobq_ready", db.schema))}(
  CAST(${request.names} AS text[]), CAST(${request.queues ?? null} AS text[]),
  CAST(${request.exceptQueues ?? null} AS text[]), CAST(${request.limit} AS integer)) AS ready`

const candidatesSqlite = (db: Db, request: ClaimRequest) => {
  const where = db.sql.and([
    "state = 'pending'",
    db.among("name", request.names),
    ...(request.queues === undefined ? [] : [db.among("queue", request.queues)]),
    ...(request.exceptQueues === undefined || request.exceptQueues.length === 0
      ? []
      : [db.sql`NOT (${db.among("queue", request.exceptQueues)})`]),
    db.sql`queue NOT IN (SELECT queue FROM ${db.queues} WHERE paused)`
  ])
  return db.sql`SELECT id FROM ${db.jobs} WHERE ${where}
  ORDER BY priority DESC, run_at, id LIMIT ${request.limit}`
}

/** Walks the ready index only, so its cost does not grow with finished or scheduled rows. */
export const claim = (db: Db): Service["claim"] => {
  const candidates = db.dialect === "pg" ? candidatesPg : candidatesSqlite
  return (request) =>
    request.limit <= 0 || request.names.length === 0 || request.queues?.length === 0
      ? Effect.succeed([])
      : db
          .run(
            "claim",
            Effect.flatMap(
              db.now,
              (now) =>
                db.sql<RawClaimed>`UPDATE ${db.jobs} SET
  state = 'running', attempt = attempt + 1, token = token + 1, owner = ${request.owner},
  lease_until = ${now} + CAST(${whole(request.lease)} AS bigint), started_at = ${now},
  progress = NULL, progress_message = NULL
WHERE ${db.idIn(candidates(db, request))}
RETURNING ${db.sql.literal(claimedColumns)}`
            )
          )
          .pipe(Effect.map((rows) => rows.map(decodeClaimed).sort(byClaimOrder)))
}

export const promote =
  (db: Db): Service["promote"] =>
  (limit) => {
    const { sql } = db
    return db.run(
      "promote",
      Effect.gen(function* () {
        const now = yield* db.now
        const rows =
          limit <= 0
            ? []
            : yield* sql`UPDATE ${db.jobs} SET state = 'pending'
WHERE ${db.idIn(sql`SELECT id FROM ${db.jobs} WHERE state = 'scheduled' AND run_at <= ${now}
  ORDER BY run_at LIMIT ${limit} ${db.skipLocked}`)}
RETURNING id`
        const next = yield* sql<{
          readonly run_at: Big
          readonly now: Big
        }>`SELECT run_at, ${now} AS now FROM ${db.jobs}
WHERE state = 'scheduled' ORDER BY run_at LIMIT 1`
        const first = next[0]
        return {
          promoted: rows.length,
          nextIn: first === undefined ? undefined : Math.max(0, Number(first.run_at) - Number(first.now))
        }
      })
    )
  }
