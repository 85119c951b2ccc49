/** Firing: the cursor advances and the jobs of the slots it passes are there, in one transaction. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import type { Fire, Fired, Inserted, NewJob, ScheduleRow, Service } from "../../JobStorage.js"
import { refusal } from "../../internal/newJob.js"
import type { Db } from "./db.js"
import { type InsertWithin, insertWithin } from "./insert.js"
import type { RawSchedule } from "./row.js"
import { active, decodeSchedule } from "./row.js"

/** The rows stay locked to the end of the transaction, so what is read of them here is what is changed. */
const lock = (db: Db, ids: ReadonlyArray<string>) =>
  Effect.map(
    db.sql<RawSchedule>`SELECT * FROM ${db.schedules} WHERE ${db.among("id", ids)} AND enabled
ORDER BY id ${db.sql.literal(db.dialect === "sqlite" ? "" : "FOR UPDATE")}`,
    (rows) => new Map(rows.map((row) => [row.id, decodeSchedule(row)]))
  )

const unfinished = (db: Db, ids: ReadonlyArray<string>) =>
  ids.length === 0
    ? Effect.succeed(new Set<string>())
    : Effect.map(
        db.sql<{ readonly id: string }>`SELECT id FROM ${db.jobs}
WHERE ${db.among("id", ids)} AND state IN ${db.sql.literal(active)} ${db.latest}`,
        (rows) => new Set(rows.map((row) => row.id))
      )

interface Work {
  readonly fire: Fire
  readonly row: ScheduleRow
  readonly overlaps: boolean
}

const advance = (db: Db, { fire, overlaps }: Work, answers: ReadonlyArray<Inserted>) => {
  const { sql } = db
  const fired = fire.jobs.filter((_, at) => answers[at]?.answer === "inserted")
  const last = fired[fired.length - 1]
  const unfired = fire.jobs.length - fired.length
  const skipped = fire.skipped + unfired
  const reason = unfired === 0 ? "missed" : overlaps ? "overlap" : "duplicate"
  return Effect.flatMap(db.now, (now) => {
    const changes = [
      sql`next_slot = ${db.cast(fire.next, "bigint")}, fired = fired + ${db.cast(fired.length, "bigint")}`,
      ...(last === undefined
        ? []
        : [sql`last_slot = ${db.cast(last.slot, "bigint")}, last_job = ${last.id}, last_fired_at = ${now}`]),
      ...(skipped === 0 ? [] : [sql`skipped = skipped + ${db.cast(skipped, "bigint")}, last_skip_reason = ${reason}`]),
      ...(fire.disable === null ? [] : [sql`enabled = FALSE, disabled_reason = ${fire.disable}, version = version + 1`])
    ]
    return sql`UPDATE ${db.schedules} SET ${sql.csv(changes)} WHERE id = ${fire.schedule}`
  })
}

/** At most one fire for each schedule. */
const fireOnce = (
  db: Db,
  insert: InsertWithin,
  fires: ReadonlyArray<Fire>
): Effect.Effect<ReadonlyArray<Fired>, SqlError | StorageError> =>
  Effect.gen(function* () {
    const rows = yield* lock(
      db,
      fires.map((fire) => fire.schedule)
    )
    const good = fires.flatMap((fire) => {
      const row = rows.get(fire.schedule)
      return row !== undefined && row.version === fire.version && row.next === fire.slot ? [{ fire, row }] : []
    })
    const busy = yield* unfinished(
      db,
      good.flatMap(({ fire, row }) => (fire.overlap === "skip" && row.lastJob !== null ? [row.lastJob] : []))
    )
    const work = good.map(({ fire, row }): Work => {
      const overlaps = fire.overlap === "skip" && row.lastJob !== null && busy.has(row.lastJob)
      return { fire, row, overlaps }
    })
    const jobs = work.flatMap(({ fire, overlaps }): ReadonlyArray<NewJob> => (overlaps ? [] : fire.jobs))
    const inserted = yield* insert(jobs)
    const created = new Map<string, number>()
    let at = 0
    for (const one of work) {
      const answers = one.overlaps ? [] : inserted.slice(at, at + one.fire.jobs.length)
      at += answers.length
      created.set(one.fire.schedule, answers.filter((answer) => answer.created).length)
      yield* advance(db, one, answers)
    }
    return fires.map((fire) => {
      const count = created.get(fire.schedule)
      return count === undefined ? { answer: "stale" } : { answer: "fired", jobs: count }
    })
  })

/** Fires of one schedule in one call follow each other. */
const rounds = (fires: ReadonlyArray<Fire>): ReadonlyArray<ReadonlyArray<number>> => {
  const seen = new Map<string, number>()
  const result: Array<Array<number>> = []
  for (const [index, { schedule }] of fires.entries()) {
    const round = seen.get(schedule) ?? 0
    seen.set(schedule, round + 1)
    const indexes = result[round] ?? []
    result[round] = indexes
    indexes.push(index)
  }
  return result
}

export const fire = (db: Db): Service["fire"] => {
  const insert = insertWithin(db)
  return (fires) => {
    if (fires.length === 0) return Effect.succeed([])
    const refused = refusal(fires.flatMap((one) => one.jobs))
    if (refused !== undefined) return Effect.fail(refused)
    return db.atomic(
      "fire",
      Effect.gen(function* () {
        const answers = new Map<number, Fired>()
        for (const round of rounds(fires)) {
          const part = yield* fireOnce(
            db,
            insert,
            round.flatMap((index) => fires[index] ?? [])
          )
          for (const [at, index] of round.entries()) answers.set(index, part[at] ?? { answer: "stale" })
        }
        return fires.map((_, index) => answers.get(index) ?? { answer: "stale" })
      })
    )
  }
}
