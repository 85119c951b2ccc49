import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { ClaimedJob, ClaimRequest } from "../../JobStorage.js"
import * as Change from "./change.js"
import type { Db } from "./db.js"
import { whole } from "./db.js"
import type { Claim } from "./claimOrder.js"
import { byClaimOrder, leastRead } from "./claimOrder.js"
import { claimedColumns } from "./row.js"

/**
 * Sees every pause that has returned, and keeps one that begins now waiting: each claim holds the rows of the queues
 * table (there is always one) in share mode, a pause wants them alone.
 */
const paused = (db: Db) =>
  Effect.map(
    db.sql<{ readonly queue: string; readonly paused: number }>`SELECT queue, paused FROM ${db.queues} ${db.latest}`,
    (rows) => rows.filter((row) => row.paused === 1).map((row) => row.queue)
  )

type Read = (
  names: ReadonlyArray<string>,
  reach: number
) => Effect.Effect<ReadonlyArray<ReadonlyArray<ClaimedJob>>, SqlError>

/** The index has an order for each name, so that what waits for other workers is never read. */
const reading = (db: Db, request: ClaimRequest, except: ReadonlyArray<string>): Read => {
  const { sql } = db
  const open = sql.and([
    "TRUE",
    ...(request.queues === undefined ? [] : [db.among("queue", request.queues)]),
    ...(except.length === 0 ? [] : [sql`NOT (${db.among("queue", except)})`])
  ])
  const best = (name: string, reach: number) => sql`(SELECT ${sql.literal(claimedColumns)}
FROM ${db.jobsBy("dbjobq_jobs_ready")} WHERE ready_name = ${name} AND ${open}
ORDER BY priority DESC, run_at, id LIMIT ${db.atMost(reach)} ${db.skipLocked})`
  return (names, reach) =>
    Effect.map(sql<ClaimedJob>`${sql.join(" UNION ALL ", false)(names.map((name) => best(name, reach)))}`, (rows) =>
      names.map((name) => rows.filter((row) => row.name === name).sort(byClaimOrder))
    )
}

/**
 * Merges the orders by reading some of each: up to the first end of such a reading, where an order goes on unread, the
 * rows are in their places. Where those are too few, the orders that go on are read as far as they can matter.
 */
const merged = (request: ClaimRequest, read: Read) =>
  Effect.gen(function* () {
    const names = [...new Set(request.names)]
    const wanted = request.limit
    const reach = Math.min(wanted, Math.ceil((2 * wanted) / names.length) + leastRead)
    const orders = yield* read(names, reach)
    const ends = orders.flatMap((order) => (order.length === reach ? order.slice(-1) : [])).sort(byClaimOrder)
    const [end] = ends
    const inOrder = (rows: ReadonlyArray<ReadonlyArray<ClaimedJob>>) => rows.flat().sort(byClaimOrder).slice(0, wanted)
    const best = inOrder(orders)
    const last = best.at(-1)
    const certain = last !== undefined && best.length === wanted && (end === undefined || byClaimOrder(last, end) <= 0)
    if (end === undefined || certain) return best
    const unread = new Set(ends.map((row) => row.name))
    const rest = orders.filter(([row]) => row === undefined || !unread.has(row.name))
    return inOrder([...rest, ...(yield* read([...unread], wanted))])
  })

/** The rows are locked, so the update need not ask again, and what it makes of them is known without a third read. */
export const claimMysql =
  (db: Db): Claim =>
  (request) =>
    Change.unit(
      db,
      Effect.gen(function* () {
        const { sql } = db
        const except = [...(request.exceptQueues ?? []), ...(yield* paused(db))]
        const rows = yield* merged(request, reading(db, request, except))
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
