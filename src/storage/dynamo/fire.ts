/**
 * Firing a schedule without a transaction over several items. The one write that decides is the conditional one of the
 * schedule's item: it advances the cursor and lists the ids of the jobs. A crash
 * - before it leaves drafts, which nobody sees; the next fire of the slot goes on with them, or the sweep deletes them;
 * - after it leaves drafts that are listed: the next fire of the schedule, or the sweep, activates them;
 * - after an activation leaves an id too many in the list, which does no harm.
 * Drafts are written before the decision and never after it, so a fire that was asleep for an hour finds the cursor
 * elsewhere and can bring no job back that has run and been pruned since.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import { fired as firedRow, isCurrent } from "../../internal/scheduleTransitions.js"
import type { Fire, Fired, Service } from "../../JobStorage.js"
import { register } from "./control.js"
import { type Db, inOrder } from "./db.js"
import { activate } from "./draft.js"
import { draft } from "./insert.js"
import { read, readAll } from "./records.js"
import { readSchedule, type StoredSchedule, writeSchedule } from "./scheduleItem.js"
import { fresh, isFinished } from "../../internal/transitions.js"

/** Activates what the cursor has committed; the schedule as it is then, with nothing open. */
export const complete = (db: Db, id: string): Effect.Effect<StoredSchedule | undefined, StorageError> =>
  Effect.gen(function* () {
    for (;;) {
      const seen = yield* readSchedule(db, id)
      if (seen === undefined || seen.committed.length === 0) return seen
      const drafts = Array.from((yield* readAll(db, seen.committed)).values()).filter((job) => job.draft)
      if (drafts.length === 0) yield* writeSchedule(db, seen, { row: seen.row, committed: [] })
      else yield* Effect.forEach(drafts, (job) => activate(db, job), { concurrency: db.concurrency, discard: true })
    }
  })

const isUnfinished = (db: Db, id: string): Effect.Effect<boolean, StorageError> =>
  Effect.map(read(db, id), (job) => job !== undefined && !job.draft && !isFinished(job.row.state))

const fireOne = (db: Db, fire: Fire): Effect.Effect<Fired, StorageError> =>
  Effect.gen(function* () {
    for (;;) {
      const seen = yield* complete(db, fire.schedule)
      if (seen === undefined) return { answer: "stale" }
      const { row } = seen
      if (!isCurrent(row, fire)) return { answer: "stale" }
      const now = yield* Clock.currentTimeMillis
      const overlaps = fire.overlap === "skip" && row.lastJob !== null && (yield* isUnfinished(db, row.lastJob))
      const answers = yield* inOrder(
        db,
        overlaps ? [] : fire.jobs,
        (job) => job.uniqueKey ?? job.id,
        (job) => Effect.map(draft(db, fresh(job, now), fire.schedule), (drafted) => ({ job, drafted }))
      )
      const drafts = answers.flatMap(({ drafted }) => ("draft" in drafted ? [drafted.draft.row.id] : []))
      const fired = answers.filter(({ drafted }) => "draft" in drafted || drafted.answer.answer === "inserted")
      const jobs = fired.map(({ job }) => job)
      const next = firedRow(row, fire, jobs, overlaps, now)
      if (!(yield* writeSchedule(db, seen, { row: next, committed: drafts }))) continue
      db.tell("schedules")
      yield* complete(db, fire.schedule)
      return { answer: "fired", jobs: drafts.length }
    }
  })

export const fire =
  (db: Db): Service["fire"] =>
  (fires) =>
    Effect.zipRight(
      register(
        db,
        fires.flatMap((one) => one.jobs)
      ),
      inOrder(
        db,
        fires,
        ({ schedule }) => schedule,
        (one) => fireOne(db, one)
      )
    )
