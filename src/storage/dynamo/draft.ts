/**
 * Drafts: jobs that are written but not committed. No reader sees them and no worker takes them.
 *
 * A job with a unique key commits once its key is held; the jobs of a fire commit with the schedule's cursor, which lists
 * them until each is activated. Whoever finds a draft left behind by a crash can therefore tell what is to become of it.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import type { Db } from "./db.js"
import type { Stored } from "./item.js"
import { erase, write } from "./records.js"
import { readSchedule, writeSchedule } from "./scheduleItem.js"

/** The draft becomes a job. False when it is no longer what was seen. */
export const activate = (db: Db, draft: Stored): Effect.Effect<boolean, StorageError> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const state = draft.row.runAt <= now ? "pending" : "scheduled"
    const done = yield* write(db, draft, { row: { ...draft.row, state }, draft: false, schedule: null })
    if (done) db.tell("jobs")
    return done
  })

/**
 * Ends a draft that nobody may be working on: activates it if it is committed, else deletes it. A writer that is only
 * slow finds its draft gone and begins again.
 */
export const resolve = (db: Db, draft: Stored): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    if (draft.schedule === null) return yield* Effect.asVoid(erase(db, draft))
    const schedule = yield* readSchedule(db, draft.schedule)
    if (schedule?.committed.includes(draft.row.id) === true) return yield* Effect.asVoid(activate(db, draft))
    // a fire under way that has seen this draft must not commit it any more
    if (schedule !== undefined && !(yield* writeSchedule(db, schedule, schedule))) return
    yield* erase(db, draft)
  })
