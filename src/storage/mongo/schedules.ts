import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { AnyBulkWriteOperation, Document } from "mongodb"
import { StorageError } from "../../JobError.js"
import type { PutSchedule, ScheduleRow, Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { bulk, run } from "./db.js"
import { dateOf } from "./document.js"
import { deliverPending } from "./fire.js"
import { definitionOf, fresh, rowOf, type ScheduleDocument } from "./scheduleDocument.js"

/** A definition that is there already is left alone; one that differs is a new version. */
const upsert = (schedule: PutSchedule): AnyBulkWriteOperation<ScheduleDocument> => {
  const definition = definitionOf(schedule)
  const enabled = schedule.enabled ?? "$enabled"
  const same = Object.entries(definition).map(([field, value]) => ({ $eq: [`$${field}`, { $literal: value }] }))
  const restarts = {
    $or: [{ $and: [enabled, { $not: ["$enabled"] }] }, { $ne: ["$recurrence", { $literal: schedule.recurrence }] }]
  }
  const edited = {
    enabled,
    disabledReason: { $cond: [{ $eq: [enabled, "$enabled"] }, "$disabledReason", null] },
    version: { $add: ["$version", 1] },
    next: { $cond: [restarts, dateOf(schedule.next), "$next"] }
  }
  const change: Document = {
    $switch: {
      branches: [
        {
          case: { $eq: [{ $type: "$job" }, "missing"] },
          // biome-ignore lint/suspicious/noThenProperty: the database's own word
          then: { $mergeObjects: ["$$ROOT", { $literal: fresh(schedule) }] }
        },
        // biome-ignore lint/suspicious/noThenProperty: the database's own word
        { case: { $and: [{ $eq: [enabled, "$enabled"] }, ...same] }, then: "$$ROOT" }
      ],
      default: { $mergeObjects: ["$$ROOT", { $literal: definition }, edited] }
    }
  }
  return { updateOne: { filter: { _id: schedule.id }, update: [{ $replaceWith: change }], upsert: true } }
}

const find = (db: Db, operation: string, ids: ReadonlyArray<string>) =>
  Effect.map(
    run(operation, () => db.schedules.find({ _id: { $in: Array.from(new Set(ids)) } }).toArray()),
    (found) => found.map(rowOf)
  )

/** Two that put a new one at once may refuse each other, and a row may be removed before it is read: once more then. */
const put = (
  db: Db,
  schedules: ReadonlyArray<PutSchedule>,
  tries: number
): Effect.Effect<ReadonlyArray<ScheduleRow>, StorageError> =>
  Effect.gen(function* () {
    const { refused } = yield* bulk("putSchedules", db.schedules, schedules.map(upsert))
    const found = yield* find(
      db,
      "putSchedules",
      schedules.map((schedule) => schedule.id)
    )
    const rows = new Map(found.map((row) => [row.id, row]))
    const answers = schedules.flatMap((schedule) => rows.get(schedule.id) ?? [])
    if (refused.size === 0 && answers.length === schedules.length) return answers
    if (tries > 0) return yield* put(db, schedules, tries - 1)
    return yield* new StorageError({
      operation: "putSchedules",
      message: "putSchedules: others kept changing the schedules",
      isTransient: true
    })
  })

export const putSchedules =
  (db: Db): Service["putSchedules"] =>
  (schedules) =>
    schedules.length === 0 ? Effect.succeed([]) : put(db, schedules, 3)

export const removeSchedules =
  (db: Db): Service["removeSchedules"] =>
  (ids) =>
    ids.length === 0
      ? Effect.succeed([])
      : Effect.gen(function* () {
          const distinct = Array.from(new Set(ids))
          yield* deliverPending(db, "removeSchedules", { _id: { $in: distinct } })
          const before = new Set((yield* find(db, "removeSchedules", distinct)).map((row) => row.id))
          yield* run("removeSchedules", () => db.schedules.deleteMany({ _id: { $in: distinct } }))
          return ids.map((id) => before.delete(id))
        })

export const enableSchedules =
  (db: Db): Service["enableSchedules"] =>
  (changes) =>
    changes.length === 0
      ? Effect.succeed([])
      : Effect.gen(function* () {
          yield* bulk(
            "enableSchedules",
            db.schedules,
            changes.map(
              ({ enabled, id, next }): AnyBulkWriteOperation<ScheduleDocument> => ({
                updateOne: {
                  filter: { _id: id, enabled: !enabled },
                  update: {
                    $set: { enabled, disabledReason: null, ...(enabled ? { next: dateOf(next) } : {}) },
                    $inc: { version: 1 }
                  }
                }
              })
            )
          )
          const found = yield* find(
            db,
            "enableSchedules",
            changes.map((change) => change.id)
          )
          const known = new Set(found.map((row) => row.id))
          return changes.map((change) => known.has(change.id))
        })

export const getSchedules =
  (db: Db): Service["getSchedules"] =>
  (ids) =>
    ids.length === 0 ? Effect.succeed([]) : find(db, "getSchedules", ids)

export const listSchedules =
  (db: Db): Service["listSchedules"] =>
  ({ after, limit }) =>
    limit <= 0
      ? Effect.succeed([])
      : Effect.map(
          run("listSchedules", () =>
            db.schedules
              .find(after === undefined ? {} : { _id: { $gt: after } })
              .sort({ _id: 1 })
              .limit(limit)
              .toArray()
          ),
          (found) => found.map(rowOf)
        )

/** The storage's clock, as a number for the scheduler. */
const clock = (db: Db): Effect.Effect<Date, StorageError> =>
  db.storeClock
    ? Effect.flatMap(
        run("dueSchedules", () => db.database.command({ hello: 1 })),
        ({ localTime }) =>
          localTime instanceof Date
            ? Effect.succeed(localTime)
            : new StorageError({
                operation: "dueSchedules",
                message: "dueSchedules: the server told no time",
                isTransient: false
              })
      )
    : Effect.map(Clock.currentTimeMillis, (millis) => new Date(millis))

export const dueSchedules =
  (db: Db): Service["dueSchedules"] =>
  (limit) =>
    Effect.gen(function* () {
      yield* deliverPending(db, "dueSchedules", {})
      const now = yield* clock(db)
      const due =
        limit <= 0
          ? []
          : yield* run("dueSchedules", () =>
              db.schedules
                .find({ enabled: true, next: { $lte: now } })
                .sort({ next: 1, _id: 1 })
                .limit(limit)
                .toArray()
            )
      const [first] = yield* run("dueSchedules", () =>
        db.schedules
          .find({ enabled: true, next: { $gt: now } })
          .project<{ readonly next: Date }>({ next: 1 })
          .sort({ next: 1 })
          .limit(1)
          .toArray()
      )
      return {
        now: now.getTime(),
        due: due.map(rowOf),
        nextIn: first === undefined ? undefined : first.next.getTime() - now.getTime()
      }
    })
