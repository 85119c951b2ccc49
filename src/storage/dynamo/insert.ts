/**
 * Inserting a job. Without a unique key it is one conditional put. With one it is a draft, the key, and the activation;
 * a crash after
 * - the draft leaves an invisible item without a key, which the next sweep deletes;
 * - the key leaves a draft that holds it, which the next one to want the key, or the sweep, resolves;
 * - the activation leaves nothing open.
 * Repeating the insert goes on from wherever the first one came to, because each step begins by looking.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { refusal } from "../../internal/newJob.js"
import type { StorageError } from "../../JobError.js"
import type { Inserted, JobRow, NewJob, Service } from "../../JobStorage.js"
import { acquire } from "./acquire.js"
import { register } from "./control.js"
import { type Db, inOrder } from "./db.js"
import { activate, resolve } from "./draft.js"
import type { Stored } from "./item.js"
import { create, erase } from "./records.js"
import { fresh } from "../../internal/transitions.js"

/** A draft that is ready to be activated, or the answer. */
export type Drafted = { readonly draft: Stored } | { readonly answer: Inserted }

const found = (job: Stored, row: JobRow): Inserted => ({
  id: row.id,
  answer: job.row.name === row.name ? "inserted" : "conflict",
  created: false
})

const sameJob = (a: JobRow, b: JobRow): boolean =>
  a.name === b.name &&
  a.queue === b.queue &&
  a.priority === b.priority &&
  a.payload === b.payload &&
  a.maxAttempts === b.maxAttempts &&
  a.uniqueKey === b.uniqueKey

/** Writes the draft of a job, or goes on with one that is there, and takes its unique key. */
export const draft = (db: Db, row: JobRow, schedule: string | null): Effect.Effect<Drafted, StorageError> =>
  Effect.gen(function* () {
    for (;;) {
      const { job } = yield* create(db, row, { draft: true, schedule })
      if (job === undefined) continue
      if (!job.draft) return { answer: found(job, row) }
      if (job.schedule !== schedule || !sameJob(job.row, row)) {
        // left by another insert, or made from an older definition
        yield* resolve(db, job)
        continue
      }
      if (row.uniqueKey === null) return { draft: job }
      const holder = yield* acquire(db, row.name, row.uniqueKey, { id: row.id, generation: 1 })
      if (holder === undefined) return { draft: job }
      // when the draft has changed, a repeat of this insert was faster: look again
      if (yield* erase(db, job)) return { answer: { id: holder, answer: "duplicate", created: false } }
    }
  })

const insertOne = (db: Db, job: NewJob): Effect.Effect<Inserted, StorageError> =>
  Effect.gen(function* () {
    const row = fresh(job, yield* Clock.currentTimeMillis)
    for (;;) {
      if (row.uniqueKey === null) {
        const made = yield* create(db, row, { draft: false, schedule: null })
        if (made.created) {
          db.tell("jobs")
          return { id: row.id, answer: "inserted", created: true }
        }
        if (made.job?.draft === true) yield* resolve(db, made.job)
        else if (made.job !== undefined) return found(made.job, row)
      } else {
        const drafted = yield* draft(db, row, null)
        if ("answer" in drafted) return drafted.answer
        if (yield* activate(db, drafted.draft)) return { id: row.id, answer: "inserted", created: true }
      }
    }
  })

export const insert =
  (db: Db): Service["insert"] =>
  (jobs) => {
    const refused = refusal(jobs)
    if (refused !== undefined) return Effect.fail(refused)
    const ids = new Set<string>()
    const repeats = jobs.some((job) => ids.size === ids.add(job.id).size)
    return Effect.zipRight(
      register(db, jobs),
      inOrder(
        db,
        jobs,
        // the first of two with one key wins; ids that repeat are so rare that the whole batch may wait for them
        (job) => (repeats ? "" : job.uniqueKey === null ? job.id : JSON.stringify([job.name, job.uniqueKey])),
        (job) => insertOne(db, job)
      )
    )
  }
