/**
 * Firing without a transaction: the write that advances the cursor puts the jobs into the schedule's own document, its
 * outbox. From then on they are as good as there: whoever fired inserts them, or else whoever looks for due schedules
 * next. Their ids are functions of the slot, so any number of deliveries makes one job.
 */
import * as Effect from "effect/Effect"
import type { AnyBulkWriteOperation, Document, Filter, ObjectId } from "mongodb"
import type { StorageError } from "../../JobError.js"
import type { Fire, Fired, NewJob, Service } from "../../JobStorage.js"
import { refusal } from "../../internal/newJob.js"
import { bulk, type Db, mark, run } from "./db.js"
import { dateOf } from "./document.js"
import { insertAll } from "./insert.js"
import type { OutboxEntry, ScheduleDocument } from "./scheduleDocument.js"

const stale: Fired = { answer: "stale" }

const packed = (fire: Fire, mark: ObjectId, overlaps: boolean): OutboxEntry => {
  const jobs = overlaps ? [] : fire.jobs
  const payloads = Array.from(new Set(jobs.map((job) => job.payload)))
  return {
    fire: mark,
    jobs: jobs.map((job) => ({ ...job, payload: payloads.indexOf(job.payload) })),
    payloads,
    missed: fire.skipped,
    overlapped: overlaps ? fire.jobs.length : 0
  }
}

const unpacked = ({ jobs, payloads }: OutboxEntry): ReadonlyArray<NewJob> =>
  jobs.map((job) => ({ ...job, payload: payloads[job.payload] ?? "" }))

interface Delivery {
  readonly schedule: string
  readonly entry: OutboxEntry
}

/** Inserts the jobs and then counts them: taking the entry out and counting it is one write, so it counts once. */
const deliver = (db: Db, deliveries: ReadonlyArray<Delivery>): Effect.Effect<ReadonlyArray<number>, StorageError> =>
  Effect.gen(function* () {
    if (deliveries.length === 0) return []
    const now = yield* db.now
    const jobs = deliveries.map(({ entry }) => unpacked(entry))
    const answers = yield* insertAll(db, jobs.flat())
    let at = 0
    const results = deliveries.map(({ entry, schedule }, index) => {
      const own = (jobs[index] ?? []).map((job) => ({ job, answer: answers[at++] }))
      const fired = own.filter(({ answer }) => answer?.answer === "inserted")
      const last = fired[fired.length - 1]?.job
      const refused = own.length - fired.length
      const skipped = entry.missed + entry.overlapped + refused
      const reason = entry.overlapped > 0 ? "overlap" : refused > 0 ? "duplicate" : "missed"
      const update: Document = {
        $pull: { outbox: { fire: entry.fire } },
        $inc: { fired: fired.length, skipped },
        $set: {
          ...(last === undefined ? {} : { lastSlot: dateOf(last.slot), lastJob: last.id }),
          ...(last !== undefined && now !== "$$NOW" ? { lastFiredAt: now } : {}),
          ...(skipped === 0 ? {} : { lastSkipReason: reason })
        },
        ...(last !== undefined && now === "$$NOW" ? { $currentDate: { lastFiredAt: true } } : {})
      }
      const operation: AnyBulkWriteOperation<ScheduleDocument> = {
        updateOne: { filter: { _id: schedule, "outbox.fire": entry.fire }, update }
      }
      return { operation, created: fired.filter(({ answer }) => answer?.created === true).length }
    })
    yield* bulk(
      "fire",
      db.schedules,
      results.map(({ operation }) => operation)
    )
    return results.map(({ created }) => created)
  })

/** Finishes fires that another process has begun, and perhaps died in. */
export const deliverPending = (
  db: Db,
  operation: string,
  filter: Filter<ScheduleDocument>
): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const found = yield* run(operation, () =>
      db.schedules
        .find({ ...filter, "outbox.0": { $exists: true } })
        .project<Pick<ScheduleDocument, "_id" | "outbox">>({ outbox: 1 })
        .toArray()
    )
    const deliveries = found.flatMap((one) => one.outbox.map((entry) => ({ schedule: one._id, entry })))
    yield* deliver(db, deliveries)
  })

/** The schedules, among those that forbid overlap, whose job fired last is unfinished. */
const overlapping = (db: Db, fires: ReadonlyArray<Fire>) =>
  Effect.gen(function* () {
    const careful = { _id: { $in: fires.filter((fire) => fire.overlap === "skip").map((fire) => fire.schedule) } }
    if (careful._id.$in.length === 0) return new Set<string>()
    yield* deliverPending(db, "fire", careful)
    const found = yield* run("fire", () =>
      db.schedules
        .find({ ...careful, lastJob: { $ne: null } })
        .project<Pick<ScheduleDocument, "_id" | "lastJob">>({ lastJob: 1 })
        .toArray()
    )
    const last = found.flatMap((one) => (one.lastJob === null ? [] : [one.lastJob]))
    if (last.length === 0) return new Set<string>()
    const unfinished = yield* run("fire", () =>
      db.jobs
        .find({ _id: { $in: last }, active: true })
        .project<{ readonly _id: string }>({ _id: 1 })
        .toArray()
    )
    const ids = new Set(unfinished.map((one) => one._id))
    return new Set(found.flatMap((one) => (one.lastJob !== null && ids.has(one.lastJob) ? [one._id] : [])))
  })

const advance = ({ entry, fire }: Begun): AnyBulkWriteOperation<ScheduleDocument> => {
  const update: Document = {
    $set: {
      next: dateOf(fire.next),
      fireId: entry.fire,
      ...(fire.disable === null ? {} : { enabled: false, disabledReason: fire.disable })
    },
    $push: { outbox: entry },
    ...(fire.disable === null ? {} : { $inc: { version: 1 } })
  }
  const filter = { _id: fire.schedule, version: fire.version, next: dateOf(fire.slot), enabled: true }
  return { updateOne: { filter, update } }
}

interface Begun {
  readonly fire: Fire
  readonly entry: OutboxEntry
}

/** Each schedule at most once. */
const fireOnce = (db: Db, fires: ReadonlyArray<Fire>): Effect.Effect<ReadonlyArray<Fired>, StorageError> =>
  Effect.gen(function* () {
    const overlaps = yield* overlapping(db, fires)
    const begun = yield* Effect.forEach(fires, (fire) =>
      Effect.map(mark, (id): Begun => ({ fire, entry: packed(fire, id, overlaps.has(fire.schedule)) }))
    )
    const { matched } = yield* bulk("fire", db.schedules, begun.map(advance))
    const applied = matched === begun.length ? begun : yield* ofThese(db, begun)
    const created = yield* deliver(
      db,
      applied.map(({ entry, fire }) => ({ schedule: fire.schedule, entry }))
    )
    const jobs = new Map(applied.map(({ fire }, index) => [fire, created[index] ?? 0]))
    return fires.map((fire): Fired => {
      const count = jobs.get(fire)
      return count === undefined ? stale : { answer: "fired", jobs: count }
    })
  })

/** Those that advanced a cursor. */
const ofThese = (db: Db, begun: ReadonlyArray<Begun>) =>
  Effect.gen(function* () {
    const found = yield* run("fire", () =>
      db.schedules
        .find({
          fireId: { $in: begun.map(({ entry }) => entry.fire) },
          _id: { $in: begun.map(({ fire }) => fire.schedule) }
        })
        .project<{ readonly _id: string }>({ _id: 1 })
        .toArray()
    )
    const ids = new Set(found.map((one) => one._id))
    return begun.filter(({ fire }) => ids.has(fire.schedule))
  })

export const fire =
  (db: Db): Service["fire"] =>
  (fires) =>
    Effect.gen(function* () {
      const refused = refusal(fires.flatMap((one) => one.jobs))
      if (refused !== undefined) return yield* refused
      const answers: Array<Fired> = []
      let open = fires.map((one, index) => ({ fire: one, index }))
      while (open.length > 0) {
        const seen = new Set<string>()
        const now = open.filter(({ fire: { schedule } }) => {
          if (seen.has(schedule)) return false
          seen.add(schedule)
          return true
        })
        const done = yield* fireOnce(
          db,
          now.map((one) => one.fire)
        )
        now.forEach(({ index }, at) => {
          answers[index] = done[at] ?? stale
        })
        open = open.filter((one) => !now.includes(one))
      }
      return answers
    })
