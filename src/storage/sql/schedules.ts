/** Schedule rows: what is put, switched, removed and read. Firing is in fire.ts. */
import * as Effect from "effect/Effect"
import type { PutSchedule, Service } from "../../JobStorage.js"
import * as Change from "./change.js"
import type { Db } from "./db.js"
import type { Big, RawSchedule } from "./row.js"
import { decodeSchedule } from "./row.js"

const defined = [
  "job",
  "queue",
  "priority",
  "payload",
  "max_attempts",
  "unique_key",
  "recurrence",
  "missed",
  "overlap",
  "jitter"
]

const changes = defined.map((column) => `s.${column} IS DISTINCT FROM excluded.${column}`).join("\n    OR ")

const boolean = (value: boolean | undefined): string => (value === undefined ? "NULL" : value ? "TRUE" : "FALSE")

/** First as a new row, which changes nothing when there is one; then as a change, which finds none in a new row. */
const putMysql = (db: Db, schedule: PutSchedule) => {
  const { sql } = db
  const enabled = sql.literal(boolean(schedule.enabled))
  const given = [
    schedule.job,
    schedule.queue,
    schedule.priority,
    schedule.payload,
    schedule.maxAttempts,
    schedule.uniqueKey,
    schedule.recurrence,
    schedule.missed,
    schedule.overlap,
    schedule.jitter
  ]
  const each = (between: string) => given.map((value, at) => sql`${sql.literal(`${defined[at]} ${between}`)} ${value}`)
  return Effect.zipRight(
    db.telling(
      "schedules",
      "id",
      sql`INSERT INTO ${db.schedules} (id, ${sql.literal(defined.join(", "))}, enabled, next_slot)
VALUES (${schedule.id}, ${sql.csv(given.map((value) => sql`${value}`))}, coalesce(${enabled}, TRUE), ${schedule.next})
ON DUPLICATE KEY UPDATE id = id`
    ),
    // in this order, as each assignment sees what those before it made
    sql`UPDATE ${db.schedules} SET
  next_slot = CASE
    WHEN recurrence <> ${schedule.recurrence} OR (${enabled} AND NOT enabled) THEN ${db.cast(schedule.next, "bigint")}
    ELSE next_slot END,
  disabled_reason = CASE WHEN enabled <> ${enabled} THEN NULL ELSE disabled_reason END,
  enabled = coalesce(${enabled}, enabled), version = version + 1, ${sql.csv(each("="))}
WHERE id = ${schedule.id} AND (enabled <> ${enabled} OR NOT ${sql.and(each("<=>"))})`
  )
}

const put = (db: Db, schedule: PutSchedule) => {
  const { sql } = db
  const enabled = sql.literal(`CAST(${boolean(schedule.enabled)} AS boolean)`)
  return db.telling(
    "schedules",
    "id",
    sql`INSERT INTO ${db.schedules} AS s (id, ${sql.literal(defined.join(", "))}, enabled, next_slot)
VALUES (
  ${schedule.id}, ${schedule.job}, ${schedule.queue}, ${schedule.priority}, ${schedule.payload},
  ${schedule.maxAttempts}, ${schedule.uniqueKey}, ${schedule.recurrence}, ${schedule.missed}, ${schedule.overlap},
  ${schedule.jitter}, coalesce(${enabled}, TRUE), ${schedule.next}
)
ON CONFLICT (id) DO UPDATE SET
  ${sql.literal(defined.map((column) => `${column} = excluded.${column}`).join(", "))},
  enabled = coalesce(${enabled}, s.enabled),
  disabled_reason = CASE WHEN s.enabled <> ${enabled} THEN NULL ELSE s.disabled_reason END,
  version = s.version + 1,
  next_slot = CASE
    WHEN s.recurrence <> excluded.recurrence OR (${enabled} AND NOT s.enabled) THEN excluded.next_slot
    ELSE s.next_slot END
WHERE s.enabled <> ${enabled}
    OR ${sql.literal(changes)}`
  )
}

const select = (db: Db, ids: ReadonlyArray<string>) =>
  db.sql<RawSchedule>`SELECT * FROM ${db.schedules} WHERE ${db.among("id", ids)}`

/** What this transaction has just written, and what it found there. */
const reread = (db: Db, ids: ReadonlyArray<string>) => db.sql<RawSchedule>`${select(db, ids)} ${db.latest}`

/** Rows are locked in one order everywhere, so that two writers wait for each other instead of deadlocking. */
const inOrder = <A extends { readonly id: string }>(items: ReadonlyArray<A>): ReadonlyArray<A> =>
  [...items].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))

export const putSchedules =
  (db: Db): Service["putSchedules"] =>
  (schedules) =>
    schedules.length === 0
      ? Effect.succeed([])
      : db.atomic(
          "putSchedules",
          Effect.gen(function* () {
            const putOne = db.dialect === "mysql" ? putMysql : put
            yield* Effect.forEach(inOrder(schedules), (schedule) => putOne(db, schedule), { discard: true })
            const rows = yield* reread(
              db,
              schedules.map((schedule) => schedule.id)
            )
            const found = new Map(rows.map((row) => [row.id, decodeSchedule(row)]))
            return schedules.flatMap((schedule) => found.get(schedule.id) ?? [])
          })
        )

export const removeSchedules =
  (db: Db): Service["removeSchedules"] =>
  (ids) =>
    ids.length === 0
      ? Effect.succeed([])
      : db.run("removeSchedules", Change.remove(db, { table: db.schedules, where: db.among("id", ids) })).pipe(
          Effect.map((removed) => {
            const gone = new Set(removed)
            return ids.map((id) => gone.delete(id))
          })
        )

export const enableSchedules =
  (db: Db): Service["enableSchedules"] =>
  (switches) =>
    switches.length === 0
      ? Effect.succeed([])
      : db.atomic(
          "enableSchedules",
          Effect.gen(function* () {
            const { sql } = db
            for (const { enabled, id, next } of inOrder(switches)) {
              yield* db.telling(
                "schedules",
                "id",
                sql`UPDATE ${db.schedules} SET
  enabled = ${sql.literal(boolean(enabled))}, disabled_reason = NULL, version = version + 1,
  next_slot = ${enabled ? db.cast(next, "bigint") : sql.literal("next_slot")}
WHERE id = ${id} AND enabled <> ${sql.literal(boolean(enabled))}`
              )
            }
            const rows = yield* reread(
              db,
              switches.map((one) => one.id)
            )
            const found = new Set(rows.map((row) => row.id))
            return switches.map((one) => found.has(one.id))
          })
        )

export const getSchedules =
  (db: Db): Service["getSchedules"] =>
  (ids) =>
    ids.length === 0
      ? Effect.succeed([])
      : Effect.map(db.run("getSchedules", select(db, ids)), (rows) => rows.map(decodeSchedule))

export const listSchedules =
  (db: Db): Service["listSchedules"] =>
  ({ after, limit }) =>
    db
      .run(
        "listSchedules",
        db.sql<RawSchedule>`SELECT * FROM ${db.schedules}
${after === undefined ? db.sql.literal("") : db.sql`WHERE id > ${after}`} ORDER BY id LIMIT ${db.atMost(limit)}`
      )
      .pipe(Effect.map((rows) => rows.map(decodeSchedule)))

export const dueSchedules =
  (db: Db): Service["dueSchedules"] =>
  (limit) =>
    db.run(
      "dueSchedules",
      Effect.gen(function* () {
        const { sql } = db
        const clock = yield* sql<{ readonly now: Big; readonly next: Big | null }>`SELECT n.t AS now, (
  SELECT min(next_slot) FROM ${db.schedules} WHERE enabled AND next_slot > n.t
) AS next FROM (SELECT ${yield* db.now} AS t) AS n`
        const now = Number(clock[0]?.now)
        const next = clock[0]?.next ?? null
        const rows = yield* sql<RawSchedule>`SELECT * FROM ${db.schedules}
WHERE enabled AND next_slot <= ${db.cast(now, "bigint")} ORDER BY next_slot, id LIMIT ${db.atMost(limit)}`
        return { now, due: rows.map(decodeSchedule), nextIn: next === null ? undefined : Number(next) - now }
      })
    )
