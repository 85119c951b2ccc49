import type { SqlError } from "@effect/sql/SqlError"
import type * as Statement from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import type { ClaimedJob } from "../../JobStorage.js"
import * as Change from "./change.js"
import type { Db } from "./db.js"
import { whole } from "./db.js"
import type { Claim, Place } from "./claimOrder.js"
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

/** The ready jobs that are open to this worker, in the order that the index has for each name. */
const readyOf = (db: Db, name: string, open: ReadonlyArray<Statement.Fragment>) =>
  db.sql`FROM ${db.jobsBy("dbjobq_jobs_ready")} WHERE ${db.sql.and([db.sql`ready_name = ${name}`, ...open])}
ORDER BY priority DESC, run_at, id`

interface Found extends Place {
  readonly name: string
}

interface Order {
  readonly name: string
  readonly reach: number
  readonly found: ReadonlyArray<Found>
}

/**
 * The best of several orders: some of each are read, and more of those that end before the last of the best. Without
 * locks, so that what is read in vain is in no rival's way; and rows of queues that are not open to the worker are walked
 * over by the index alone, for a lock on each of very many is more than the server has memory for.
 */
const best = (
  db: Db,
  names: ReadonlyArray<string>,
  wanted: number,
  open: ReadonlyArray<Statement.Fragment>
): Effect.Effect<ReadonlyArray<Found>, SqlError> => {
  const { sql } = db
  const one = ({ name, reach }: Pick<Order, "name" | "reach">) =>
    sql`(SELECT id, name, priority, run_at AS "runAt" ${readyOf(db, name, open)} LIMIT ${reach})`
  const read = (orders: ReadonlyArray<Order>) => {
    // filled up by orders of which nothing is read, so that there are few texts to prepare
    const size = 2 ** Math.ceil(Math.log2(orders.length))
    const all = [...orders, ...Array.from({ length: size - orders.length }, () => ({ name: "", reach: 0 }))]
    return Effect.map(sql<Found>`${sql.join(" UNION ALL ", false)(all.map(one))}`, (rows) =>
      orders.map((order) => ({ ...order, found: rows.filter((row) => row.name === order.name).sort(byClaimOrder) }))
    )
  }
  const merge = (orders: ReadonlyArray<Order>): Effect.Effect<ReadonlyArray<Found>, SqlError> => {
    const merged = orders
      .flatMap((order) => order.found)
      .sort(byClaimOrder)
      .slice(0, wanted)
    const last = merged[wanted - 1]
    const ended = orders.filter(({ found, reach }) => {
      const end = found[reach - 1]
      return reach < wanted && end !== undefined && (last === undefined || byClaimOrder(end, last) < 0)
    })
    if (ended.length === 0) return Effect.succeed(merged)
    const wider = ended.map((order) => ({ ...order, reach: Math.min(8 * order.reach, wanted) }))
    return Effect.flatMap(read(wider), (again) =>
      merge([...orders.filter((order) => !ended.includes(order)), ...again])
    )
  }
  const reach = Math.min(wanted, Math.ceil((2 * wanted) / names.length) + leastRead)
  return Effect.flatMap(read(names.map((name) => ({ name, reach, found: [] }))), merge)
}

/** Locks the best when they are found; while rivals hold some of them, the search goes on among the others. */
const locked = (
  db: Db,
  names: ReadonlyArray<string>,
  wanted: number,
  open: ReadonlyArray<Statement.Fragment>,
  tried: ReadonlyArray<string> = []
): Effect.Effect<ReadonlyArray<ClaimedJob>, SqlError> =>
  Effect.gen(function* () {
    const { sql } = db
    const untried = tried.length === 0 ? [] : [sql`NOT (${db.among("id", tried)})`]
    const found = yield* best(db, names, wanted, [...open, ...untried])
    if (found.length === 0) return []
    const ids = found.map((row) => row.id)
    const rows = yield* sql<ClaimedJob>`SELECT ${sql.literal(claimedColumns)} FROM ${db.jobs}
WHERE ${sql.and([db.among("id", ids), "ready_name IS NOT NULL"])} ${db.skipLocked}`
    if (rows.length === found.length) return rows
    return [...rows, ...(yield* locked(db, names, wanted - rows.length, open, [...tried, ...ids]))]
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
        const open = [
          ...(request.queues === undefined ? [] : [db.among("queue", request.queues)]),
          ...(except.length === 0 ? [] : [sql`NOT (${db.among("queue", except)})`])
        ]
        const [name, ...others] = new Set(request.names)
        if (name === undefined) return []
        const rows =
          others.length === 0 && open.length === 0
            ? // one order, of which every row will do: it is locked as it is read
              yield* sql<ClaimedJob>`SELECT ${sql.literal(claimedColumns)} ${readyOf(db, name, [])}
LIMIT ${request.limit} ${db.skipLocked}`
            : yield* locked(db, [name, ...others], request.limit, open)
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
