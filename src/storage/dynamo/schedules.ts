/** Schedules: putting, reading and switching them. Each change is one conditional write of the schedule's item. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import { edited, fresh, switched } from "../../internal/scheduleTransitions.js"
import type { ScheduleRow, Service } from "../../JobStorage.js"
import { query, remove, unchanged } from "./client.js"
import { type Db, inOrder } from "./db.js"
import { complete } from "./fire.js"
import { duePartition, scheduleKey, schedulePartition, workIndex } from "./keys.js"
import { merge } from "./merge.js"
import { decodeSchedule, readSchedule, readSchedules, type StoredSchedule, writeSchedule } from "./scheduleItem.js"
import { instantOf, until } from "./work.js"

/** Writes what `step` makes of the schedule, looking again when it has changed meanwhile. */
const edit = (
  db: Db,
  id: string,
  step: (row: ScheduleRow | undefined) => ScheduleRow | undefined
): Effect.Effect<ScheduleRow | undefined, StorageError> =>
  Effect.gen(function* () {
    for (;;) {
      const seen = yield* readSchedule(db, id)
      const row = step(seen?.row)
      if (row === undefined || row === seen?.row) return row
      if (yield* writeSchedule(db, seen, { row, committed: seen?.committed ?? [] })) {
        db.tell("schedules")
        return row
      }
    }
  })

const removeOne = (db: Db, id: string): Effect.Effect<boolean, StorageError> =>
  Effect.gen(function* () {
    for (;;) {
      // the jobs it has committed stay, so they must be there before it goes
      const seen = yield* complete(db, id)
      if (seen === undefined) return false
      if (yield* remove(db, scheduleKey(id), unchanged(seen.stamp))) return true
      // the reply to the first send may have been lost
      if ((yield* readSchedule(db, id)) === undefined) return true
    }
  })

const dueSchedules =
  (db: Db): Service["dueSchedules"] =>
  (limit) =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const sequence = merge(db, {
        index: workIndex,
        hash: "wk",
        range: "ws",
        partitions: [duePartition],
        expected: limit
      })
      const due: Array<ScheduleRow> = []
      for (;;) {
        const entries = yield* sequence.take(100, until(now))
        if (entries.length === 0) break
        // the rest of what is due is passed over, to find what is not
        if (due.length >= limit) continue
        const found: ReadonlyArray<StoredSchedule> = yield* readSchedules(
          db,
          entries.map((entry) => entry.sk)
        )
        due.push(...found.map(({ row }) => row).filter((row) => row.enabled && row.next !== null && row.next <= now))
      }
      const next = yield* sequence.peek
      return {
        now,
        due: due.sort((a, b) => (a.next ?? 0) - (b.next ?? 0) || (a.id < b.id ? -1 : 1)).slice(0, limit),
        nextIn: next === undefined ? undefined : Math.max(0, instantOf(next) - now)
      }
    })

type Operations = Pick<
  Service,
  "putSchedules" | "removeSchedules" | "enableSchedules" | "getSchedules" | "listSchedules" | "dueSchedules"
>

export const schedules = (db: Db): Operations => ({
  putSchedules: (all) =>
    Effect.map(
      inOrder(
        db,
        all,
        ({ id }) => id,
        (schedule) => edit(db, schedule.id, (row) => (row === undefined ? fresh(schedule) : edited(row, schedule)))
      ),
      (rows) => rows.filter((row) => row !== undefined)
    ),

  removeSchedules: (ids) =>
    inOrder(
      db,
      ids,
      (id) => id,
      (id) => removeOne(db, id)
    ),

  enableSchedules: (changes) =>
    inOrder(
      db,
      changes,
      ({ id }) => id,
      ({ enabled, id, next }) =>
        Effect.map(
          edit(db, id, (row) => (row === undefined ? undefined : switched(row, enabled, next))),
          (row) => row !== undefined
        )
    ),

  getSchedules: (ids) => Effect.map(readSchedules(db, ids), (found) => found.map(({ row }) => row)),

  listSchedules: ({ after, limit }) =>
    limit <= 0
      ? Effect.succeed([])
      : Effect.gen(function* () {
          const rows: Array<ScheduleRow> = []
          let page = yield* query(db, {
            hash: ["pk", schedulePartition],
            ...(after === undefined ? {} : { after: ["sk", after] as const }),
            limit
          })
          for (;;) {
            for (const item of page.items) {
              const schedule = decodeSchedule(item)
              if (schedule !== undefined && rows.length < limit) rows.push(schedule.row)
            }
            if (page.next === undefined || rows.length >= limit) return rows
            page = yield* query(db, { hash: ["pk", schedulePartition], limit: limit - rows.length, from: page.next })
          }
        }),

  dueSchedules: dueSchedules(db)
})
