/** Schedules as items: read, and written if they are still as they were seen. */
import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import type { ScheduleRow, SkipReason } from "../../JobStorage.js"
import { absent, batchGet, type Item, put, replace, stamp, unchanged } from "./client.js"
import type { Db } from "./db.js"
import { encode, number, strings, text } from "./item.js"
import { duePartition, instant, scheduleKey } from "./keys.js"

export interface StoredSchedule {
  readonly row: ScheduleRow
  /** Drafts that the cursor has committed and that may not all be activated yet. */
  readonly committed: ReadonlyArray<string>
  readonly stamp: string
  readonly item: Item
}

const reasons: ReadonlyArray<SkipReason> = ["missed", "overlap", "duplicate"]

const encodeSchedule = (row: ScheduleRow, committed: ReadonlyArray<string>, v: string): Item => {
  const { id, ...rest } = row
  return encode({
    ...rest,
    ...scheduleKey(id),
    enabled: row.enabled ? true : null,
    ...(row.enabled && row.next !== null ? { wk: duePartition, ws: `${instant(row.next)}#${id}` } : {}),
    committed: committed.length === 0 ? null : committed,
    v
  })
}

export const decodeSchedule = (item: Item): StoredSchedule | undefined => {
  const id = text(item, "sk")
  const job = text(item, "job")
  const v = text(item, "v")
  if (id === null || job === null || v === null) return undefined
  return {
    stamp: v,
    committed: strings(item, "committed"),
    item,
    row: {
      id,
      job,
      queue: text(item, "queue") ?? "",
      priority: number(item, "priority") ?? 0,
      payload: text(item, "payload") ?? "",
      maxAttempts: number(item, "maxAttempts") ?? 1,
      uniqueKey: text(item, "uniqueKey"),
      recurrence: text(item, "recurrence") ?? "",
      missed: number(item, "missed") ?? 0,
      overlap: text(item, "overlap") === "skip" ? "skip" : "allow",
      jitter: number(item, "jitter") ?? 0,
      enabled: item["enabled"]?.BOOL === true,
      disabledReason: text(item, "disabledReason"),
      version: number(item, "version") ?? 0,
      next: number(item, "next"),
      lastSlot: number(item, "lastSlot"),
      lastJob: text(item, "lastJob"),
      lastFiredAt: number(item, "lastFiredAt"),
      fired: number(item, "fired") ?? 0,
      skipped: number(item, "skipped") ?? 0,
      lastSkipReason: reasons.find((one) => one === text(item, "lastSkipReason")) ?? null
    }
  }
}

export const readSchedules = (
  db: Db,
  ids: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<StoredSchedule>, StorageError> =>
  Effect.map(batchGet(db, Array.from(new Set(ids), scheduleKey)), (items) =>
    items.flatMap((item) => {
      const schedule = decodeSchedule(item)
      return schedule === undefined ? [] : [schedule]
    })
  )

export const readSchedule = (db: Db, id: string): Effect.Effect<StoredSchedule | undefined, StorageError> =>
  Effect.map(readSchedules(db, [id]), ([schedule]) => schedule)

/** Puts `next` in the place of what was seen, or of nothing. False when something else is there. */
export const writeSchedule = (
  db: Db,
  seen: StoredSchedule | undefined,
  next: Pick<StoredSchedule, "row" | "committed">
): Effect.Effect<boolean, StorageError> =>
  Effect.gen(function* () {
    const mine = yield* stamp
    const { id } = next.row
    const item = encodeSchedule(next.row, next.committed, mine)
    const done =
      seen === undefined
        ? yield* put(db, item, absent)
        : yield* replace(db, scheduleKey(id), seen.item, item, unchanged(seen.stamp))
    // the reply to the first send may have been lost
    return done || (yield* readSchedule(db, id))?.stamp === mine
  })
