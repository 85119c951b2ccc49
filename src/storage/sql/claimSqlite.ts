import * as Effect from "effect/Effect"
import type { ClaimedJob, ClaimRequest } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { whole } from "./db.js"
import type { Claim } from "./claimOrder.js"
import { leastRead } from "./claimOrder.js"
import { claimedColumns } from "./row.js"

/**
 * The index has an order for each queue and name, so what waits for other workers, or in a queue that is paused, is
 * hopped over. The orders are merged by reading some of each: up to the first end of such a reading, where an order goes
 * on unread, the rows are in their places.
 */
const candidatesSqlite = (db: Db, request: ClaimRequest, wanted: number, width: number) => {
  const { jobs, queues, sql } = db
  const open = sql.and([
    db.among("w.name", request.names),
    sql`w.queue NOT IN (SELECT queue FROM ${queues} WHERE paused)`,
    ...(request.queues === undefined ? [] : [db.among("w.queue", request.queues)]),
    ...(request.exceptQueues === undefined || request.exceptQueues.length === 0
      ? []
      : [sql`NOT (${db.among("w.queue", request.exceptQueues)})`])
  ])
  const most = db.atMost(wanted)
  const ready = sql`${jobs} AS x WHERE x.state = 'pending'`
  const ofPair = sql`SELECT x.rowid FROM ${ready} AND x.queue = p.queue AND x.name = p.name
    ORDER BY x.priority DESC, x.run_at, x.id`
  // a comparison of both columns at once would walk what is equal in them
  return sql`WITH RECURSIVE waiting (queue, name) AS (
    SELECT * FROM (SELECT x.queue, x.name FROM ${ready} ORDER BY x.queue, x.name LIMIT 1)
    UNION ALL
    SELECT j.queue, j.name FROM waiting AS w CROSS JOIN ${jobs} AS j ON j.rowid = coalesce(
      (SELECT x.rowid FROM ${ready} AND x.queue = w.queue AND x.name > w.name ORDER BY x.name LIMIT 1),
      (SELECT x.rowid FROM ${ready} AND x.queue > w.queue ORDER BY x.queue, x.name LIMIT 1)
    )
  ),
  pairs AS MATERIALIZED (SELECT w.queue, w.name FROM waiting AS w WHERE ${open}),
  reach (rows) AS MATERIALIZED (SELECT min(${most}, ${db.cast(width, "integer")} * (2 * ${most} / count(*) + ${sql.literal(String(leastRead))})) FROM pairs),
  ends AS MATERIALIZED (
    SELECT -j.priority, j.run_at, j.id FROM pairs AS p CROSS JOIN ${jobs} AS j
      ON j.rowid = (${ofPair} LIMIT 1 OFFSET (SELECT rows - 1 FROM reach))
    WHERE (SELECT rows FROM reach) < ${most} ORDER BY 1, 2, 3 LIMIT 1
  )
  SELECT j.rowid FROM pairs AS p CROSS JOIN ${jobs} AS j ON j.rowid IN (${ofPair} LIMIT (SELECT rows FROM reach))
  WHERE NOT EXISTS (SELECT 1 FROM ends) OR (-j.priority, j.run_at, j.id) <= (SELECT * FROM ends)
  ORDER BY j.priority DESC, j.run_at, j.id LIMIT ${most}`
}

export const claimSqlite = (db: Db): Claim => {
  const round = (request: ClaimRequest, wanted: number, width: number) =>
    Effect.flatMap(
      db.now,
      (now) =>
        db.sql<ClaimedJob>`UPDATE ${db.jobs} SET
  state = 'running', attempt = attempt + 1, token = token + 1, owner = ${request.owner},
  lease_until = ${now} + ${whole(request.lease)}, started_at = ${now}, progress = NULL, progress_message = NULL
WHERE rowid IN (${candidatesSqlite(db, request, wanted, width)})
RETURNING ${db.sql.literal(claimedColumns)}`
    )
  const rounds = (request: ClaimRequest, wanted: number, width: number): ReturnType<Claim> =>
    Effect.flatMap(round(request, wanted, width), (rows) =>
      rows.length < leastRead || rows.length === wanted
        ? Effect.succeed(rows)
        : // what is claimed is handed out whatever becomes of this: the next claim meets the same error
          Effect.map(
            Effect.catchAllCause(rounds(request, wanted - rows.length, 8 * width), () => Effect.succeed([])),
            (more) => [...rows, ...more]
          )
    )
  return (request) => rounds(request, request.limit, 1)
}
