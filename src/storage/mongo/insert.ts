import * as Effect from "effect/Effect"
import type { AnyBulkWriteOperation, ClientSession, Document, ObjectId } from "mongodb"
import { StorageError } from "../../JobError.js"
import type { Inserted, NewJob, Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { bulk, mark, run } from "./db.js"
import { fresh, type JobDocument } from "./document.js"
import { refusal } from "../../internal/newJob.js"
import * as Session from "./session.js"
import { dueAt, type Now } from "./time.js"

interface Item {
  readonly index: number
  readonly job: NewJob
}

/** Writes the row unless one of that id is there. A user's text stands in `$literal`: a `$` in it means nothing. */
const upsert = (job: NewJob, now: Now, changeId: ObjectId): AnyBulkWriteOperation<JobDocument> => ({
  updateOne: {
    filter: { _id: job.id },
    update: [
      {
        $replaceWith: {
          $cond: [
            { $eq: [{ $type: "$name" }, "missing"] },
            {
              $mergeObjects: [
                "$$ROOT",
                { $literal: { ...fresh(job), changeId } },
                { ...dueAt(now, job.due), enqueuedAt: now }
              ]
            },
            "$$ROOT"
          ]
        }
      }
    ],
    upsert: true
  }
})

const keyOf = (name: string, uniqueKey: string): string => `${name}\n${uniqueKey}`

/** The holders of unique keys, by name and key. */
const holders = (db: Db, jobs: ReadonlyArray<NewJob>, options: { readonly session?: ClientSession }) => {
  const keys = new Map<string, Array<string>>()
  for (const { name, uniqueKey } of jobs) {
    if (uniqueKey !== null) keys.set(name, [...(keys.get(name) ?? []), uniqueKey])
  }
  if (keys.size === 0) return Effect.succeed(new Map<string, string>())
  const filter = {
    active: true,
    $or: Array.from(keys, ([name, values]) => ({ name, uniqueKey: { $in: values } }))
  }
  return Effect.map(
    run("insert", () =>
      db.jobs
        .find(filter, options)
        .project<Pick<JobDocument, "_id" | "name" | "uniqueKey">>({ name: 1, uniqueKey: 1 })
        .toArray()
    ),
    (found) => new Map(found.map((one) => [keyOf(one.name, one.uniqueKey ?? ""), one._id]))
  )
}

/** Answers the items whose row or unique key is there already; gives back the others. */
const answerKnown = (
  db: Db,
  items: ReadonlyArray<Item>,
  answers: Array<Inserted>,
  options: { readonly session?: ClientSession }
) =>
  Effect.gen(function* () {
    const ids = items.map((item) => item.job.id)
    const present = yield* run("insert", () =>
      db.jobs
        .find({ _id: { $in: ids } }, options)
        .project<Pick<JobDocument, "_id" | "name">>({ name: 1 })
        .toArray()
    )
    const names = new Map(present.map((one) => [one._id, one.name]))
    const others = items.filter(({ index, job }) => {
      const name = names.get(job.id)
      if (name === undefined) return true
      answers[index] = { id: job.id, answer: name === job.name ? "inserted" : "conflict", created: false }
      return false
    })
    const held = yield* holders(
      db,
      others.map((item) => item.job),
      options
    )
    return others.filter(({ index, job }) => {
      const holder = job.uniqueKey === null ? undefined : held.get(keyOf(job.name, job.uniqueKey))
      if (holder === undefined) return true
      answers[index] = { id: holder, answer: "duplicate", created: false }
      return false
    })
  })

/** The first of each unique key: a refusal by the index would abort the session's transaction. */
const withoutRivals = (items: ReadonlyArray<Item>): ReadonlyArray<Item> => {
  const taken = new Set<string>()
  return items.filter(({ job }) => {
    if (job.uniqueKey === null) return true
    const key = keyOf(job.name, job.uniqueKey)
    if (taken.has(key)) return false
    taken.add(key)
    return true
  })
}

/** What a call wrote before the server refused the rest; rows that a worker has taken since stay. */
const undo = (db: Db, jobs: ReadonlyArray<NewJob>, changeId: ObjectId) =>
  Effect.ignore(
    run("insert", () =>
      db.jobs.deleteMany({
        _id: { $in: jobs.map((job) => job.id) },
        changeId,
        attempt: 0,
        state: { $in: ["pending", "scheduled"] }
      })
    )
  )

/** A holder of a unique key may finish between the refusal and the look-up, so the rest is tried again. */
export const insertAll = (
  db: Db,
  jobs: ReadonlyArray<NewJob>,
  session?: ClientSession
): Effect.Effect<ReadonlyArray<Inserted>, StorageError> =>
  Effect.gen(function* () {
    const refused = refusal(jobs)
    if (refused !== undefined) return yield* refused
    if (jobs.length === 0) return []
    const options: Document = session === undefined ? {} : { session }
    const answers: Array<Inserted> = []
    const changeId = yield* mark
    const now = yield* db.now
    let open: ReadonlyArray<Item> = jobs.map((job, index) => ({ index, job }))
    for (let round = 0; round < 5; round++) {
      if (session !== undefined) open = yield* answerKnown(db, open, answers, options)
      if (open.length === 0) return answers
      const batch = session === undefined ? open : withoutRivals(open)
      const { upserted } = yield* bulk(
        "insert",
        db.jobs,
        batch.map((item) => upsert(item.job, now, changeId)),
        session
      ).pipe(
        // a lost connection is left to the repeat, which finds its own rows
        Effect.tapError((error) =>
          error.isTransient || session !== undefined || jobs.length === 1 ? Effect.void : undo(db, jobs, changeId)
        )
      )
      const created = new Set<number>()
      batch.forEach(({ index, job }, at) => {
        if (!upserted.has(at)) return
        created.add(index)
        answers[index] = { id: job.id, answer: "inserted", created: true }
      })
      open = open.filter(({ index }) => !created.has(index))
      if (open.length > 0 && session === undefined) open = yield* answerKnown(db, open, answers, options)
      if (open.length === 0) return answers
    }
    return yield* new StorageError({
      operation: "insert",
      message: "insert: unique keys kept changing hands",
      isTransient: true
    })
  })

/** Inside a transaction only the caller can repeat, from its beginning. */
const final = (error: StorageError): StorageError =>
  new StorageError({
    operation: error.operation,
    message: error.message,
    isTransient: false,
    ...(error.cause === undefined ? {} : { cause: error.cause })
  })

export const insert =
  (db: Db): Service["insert"] =>
  (jobs) =>
    Effect.flatMap(Session.get, (session) =>
      session === undefined ? insertAll(db, jobs) : Effect.mapError(insertAll(db, jobs, session), final)
    )
