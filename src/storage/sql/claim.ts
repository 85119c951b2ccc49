import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import type { ClaimedJob, ClaimRequest, Service } from "../../JobStorage.js"
import type { Left } from "../../internal/turns.js"
import * as Change from "./change.js"
import type { Db } from "./db.js"
import { whole } from "./db.js"
import { detached } from "./ownership.js"
import * as PgCall from "./pgCall.js"
import type { Big } from "./row.js"
import { byClaimOrder, claimedColumns } from "./row.js"

/** Hops from queue to queue, so what waits in a queue that is paused, or another lane's, costs nothing. */
const candidatesSqlite = (db: Db, request: ClaimRequest) => {
  const { jobs, queues, sql } = db
  const open = sql.and([
    "w.queue IS NOT NULL",
    sql`w.queue NOT IN (SELECT queue FROM ${queues} WHERE paused)`,
    ...(request.queues === undefined ? [] : [db.among("w.queue", request.queues)]),
    ...(request.exceptQueues === undefined || request.exceptQueues.length === 0
      ? []
      : [sql`NOT (${db.among("w.queue", request.exceptQueues)})`])
  ])
  return sql`WITH RECURSIVE waiting (queue) AS (
    SELECT min(queue) FROM ${jobs} WHERE state = 'pending'
    UNION ALL
    SELECT (SELECT min(j.queue) FROM ${jobs} AS j WHERE j.state = 'pending' AND j.queue > waiting.queue)
    FROM waiting WHERE waiting.queue IS NOT NULL
  )
  SELECT j.id FROM waiting AS w CROSS JOIN ${jobs} AS j ON j.id IN (
    SELECT x.id FROM ${jobs} AS x WHERE x.state = 'pending' AND x.queue = w.queue AND ${db.among("x.name", request.names)}
    ORDER BY x.priority DESC, x.run_at, x.id LIMIT ${request.limit}
  )
  WHERE ${open} ORDER BY j.priority DESC, j.run_at, j.id LIMIT ${request.limit}`
}

type Claim = (request: ClaimRequest) => Effect.Effect<ReadonlyArray<ClaimedJob>, SqlError | StorageError>

const nothing = (request: ClaimRequest): boolean =>
  request.limit <= 0 || request.names.length === 0 || request.queues?.length === 0

/**
 * Sees every pause that has returned, and keeps one that begins now waiting: each claim holds the rows of the queues
 * table (there is always one) in share mode, a pause wants them alone.
 */
const pausedMysql = (db: Db) =>
  Effect.map(
    db.sql<{ readonly queue: string; readonly paused: number }>`SELECT queue, paused FROM ${db.queues} ${db.latest}`,
    (rows) => rows.filter((row) => row.paused === 1).map((row) => row.queue)
  )

/** The rows are locked, so the update need not ask again, and what it makes of them is known without a third read. */
const claimMysql =
  (db: Db): Claim =>
  (request) =>
    Change.unit(
      db,
      Effect.gen(function* () {
        const { sql } = db
        const except = [...(request.exceptQueues ?? []), ...(yield* pausedMysql(db))]
        const where = sql.and([
          "ready_priority IS NOT NULL",
          db.among("name", request.names),
          ...(request.queues === undefined ? [] : [db.among("queue", request.queues)]),
          ...(except.length === 0 ? [] : [sql`NOT (${db.among("queue", except)})`])
        ])
        const rows = yield* sql<ClaimedJob>`SELECT ${sql.literal(claimedColumns)} FROM ${db.jobsBy("dbjobq_jobs_ready")}
WHERE ${where} ORDER BY ready_priority DESC, run_at, id LIMIT ${request.limit} ${db.skipLocked}`
        if (rows.length === 0) return []
        const now = yield* db.now
        yield* sql`UPDATE ${db.jobs} SET
  state = 'running', attempt = attempt + 1, token = token + 1, owner = ${request.owner},
  lease_until = ${now} + ${db.cast(whole(request.lease), "bigint")}, started_at = ${now},
  progress = NULL, progress_message = NULL
WHERE ${db.among(
          "id",
          rows.map((row) => row.id)
        )}`
        return rows.map((row) => ({ ...row, attempt: row.attempt + 1, token: row.token + 1 }))
      })
    )

/** By a function that keeps its plan, and carries the settings that keep the planner from sorting the backlog. */
const claimPg = (db: Db): Claim => {
  const call = PgCall.make(db, "dbjobq_claim", 7)
  return ({ exceptQueues, lease, limit, names, owner, queues }) =>
    Effect.flatMap(db.present, (now) =>
      call<ClaimedJob>([now, names, queues ?? null, exceptQueues ?? null, limit, owner, whole(lease)])
    )
}

const claimSqlite =
  (db: Db): Claim =>
  (request) =>
    Effect.flatMap(
      db.now,
      (now) =>
        db.sql<ClaimedJob>`UPDATE ${db.jobs} SET
  state = 'running', attempt = attempt + 1, token = token + 1, owner = ${request.owner},
  lease_until = ${now} + ${whole(request.lease)}, started_at = ${now}, progress = NULL, progress_message = NULL
WHERE ${db.idIn(candidatesSqlite(db, request))}
RETURNING ${db.sql.literal(claimedColumns)}`
    )

/** Walks the ready index only, so its cost does not grow with finished or scheduled rows. */
export const claim = (db: Db): Service["claim"] => {
  const claimed = { pg: claimPg, sqlite: claimSqlite, mysql: claimMysql }[db.dialect](db)
  return (request) =>
    nothing(request)
      ? Effect.succeed([])
      : Effect.map(db.run("claim", claimed(request)), (rows) =>
          db.dialect === "mysql" ? rows : [...rows].sort(byClaimOrder)
        )
}

/** On PostgreSQL only. */
export const look = (db: Db): Effect.Effect<Left, SqlError> => {
  const call = PgCall.make(db, "dbjobq_look", 1)
  return Effect.flatMap(db.present, (now) =>
    Effect.map(detached(call<Left>([now])), ([left]) => left ?? { pending: true, due: null, now: 0 })
  )
}

type Promoted = Effect.Effect.Success<ReturnType<Service["promote"]>>
type Promote = (limit: number) => Effect.Effect<Promoted, SqlError | StorageError>

const promotePg = (db: Db): Promote => {
  const call = PgCall.make(db, "dbjobq_promote", 2)
  return (limit) =>
    Effect.flatMap(db.present, (now) =>
      Effect.map(
        call<{ readonly promoted: number; readonly nextIn: number | null }>([now, Math.max(0, limit)]),
        ([answer]) => ({ promoted: answer?.promoted ?? 0, nextIn: answer?.nextIn ?? undefined })
      )
    )
}

const promoteOther =
  (db: Db): Promote =>
  (limit) =>
    Effect.gen(function* () {
      const { sql } = db
      const now = yield* db.now
      const rows =
        limit <= 0
          ? []
          : yield* Change.update(db, {
              table: db.jobs,
              set: sql`state = 'pending'`,
              pick: sql`SELECT id FROM ${db.jobsBy("dbjobq_jobs_due")} WHERE state = 'scheduled' AND ${db.dueAt} <= ${now}
  ORDER BY ${db.dueAt} LIMIT ${limit} ${db.skipLocked}`,
              returning: "id"
            })
      const next = yield* sql<{
        readonly run_at: Big
        readonly now: Big
      }>`SELECT run_at, ${now} AS now FROM ${db.jobsBy("dbjobq_jobs_due")}
WHERE state = 'scheduled' AND ${db.dueAt} IS NOT NULL ORDER BY ${db.dueAt} LIMIT 1`
      const first = next[0]
      return {
        promoted: rows.length,
        nextIn: first === undefined ? undefined : Math.max(0, Number(first.run_at) - Number(first.now))
      }
    })

export const promote = (db: Db): Service["promote"] => {
  const promoted = (db.dialect === "pg" ? promotePg : promoteOther)(db)
  return (limit) => db.run("promote", promoted(limit))
}
