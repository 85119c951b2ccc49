/** Schedule rows: what is put, switched, removed and read. Firing is in fire.ts. */
import * as Effect from "effect/Effect"
import type { PutSchedule, Service } from "../../JobStorage.js"
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
            yield* Effect.forEach(inOrder(schedules), (schedule) => put(db, schedule), { discard: true })
            const rows = yield* select(
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
      : db
          .run(
            "removeSchedules",
            db.sql<{ readonly id: string }>`DELETE FROM ${db.schedules} WHERE ${db.among("id", ids)} RETURNING id`
          )
          .pipe(
            Effect.map((rows) => {
              const gone = new Set(rows.map((row) => row.id))
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
  next_slot = ${enabled ? sql`CAST(${next} AS bigint)` : sql.literal("next_slot")}
WHERE id = ${id} AND enabled <> ${sql.literal(boolean(enabled))}`
              )
            }
            const rows = yield* select(
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
${after === undefined ? db.sql.literal("") : db.sql`WHERE id > ${after}`} ORDER BY id LIMIT ${limit}`
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
WHERE enabled AND next_slot <= CAST(${now} AS bigint) ORDER BY next_slot, id LIMIT ${limit}`
        return { now, due: rows.map(decodeSchedule), nextIn: next === null ? undefined : Number(next) - now }
      })
    )
