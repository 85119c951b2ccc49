import type { SqlError } from "@effect/sql/SqlError"
import type * as Statement from "@effect/sql/Statement"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { StorageError } from "../../JobError.js"
import type { Inserted, NewJob, Service } from "../../JobStorage.js"
import { refusal } from "../../internal/newJob.js"
import { chunks } from "./chunks.js"
import type { Db } from "./db.js"
import { whole } from "./db.js"
import { isUniqueViolation } from "./isTransient.js"
import * as Mysql from "./mysql.js"
import * as PgCall from "./pgCall.js"
import { active, inserted } from "./row.js"
import type { Write } from "./sqliteDriver.js"
import { type Columns, values } from "./values.js"

const chunkSize = 1000

const delayOf = (job: NewJob): number | null => ("delay" in job.due ? whole(job.due.delay) : null)

const runAtOf = (job: NewJob): number | null => ("runAt" in job.due ? Math.ceil(job.due.runAt) : null)

const tagsOf = (job: NewJob): string => (job.tags.length === 0 ? "[]" : JSON.stringify(job.tags))

const selected = `v.id, v.name, v.queue,
  CASE WHEN coalesce(v.run_at, n.t + v.delay) <= n.t THEN 'pending' ELSE 'scheduled' END,
  v.priority, v.payload, coalesce(v.run_at, n.t + v.delay), v.max_attempts, v.unique_key, v.tags, v.traceparent,
  v.schedule_id, v.slot, n.t`

const columns: Columns<NewJob> = {
  id: { type: "text", of: (job) => job.id },
  name: { type: "text", of: (job) => job.name },
  queue: { type: "text", of: (job) => job.queue },
  priority: { type: "integer", of: (job) => job.priority },
  payload: { type: "text", of: (job) => job.payload },
  run_at: { type: "bigint", of: runAtOf },
  delay: { type: "bigint", of: delayOf },
  max_attempts: { type: "integer", of: (job) => job.maxAttempts },
  unique_key: { type: "text", of: (job) => job.uniqueKey },
  tags: { type: "text", of: tagsOf },
  traceparent: { type: "text", of: (job) => job.traceparent },
  schedule_id: { type: "text", of: (job) => job.scheduleId },
  slot: { type: "bigint", of: (job) => job.slot }
}

type Created = Effect.Effect<ReadonlyArray<{ readonly id: string }>, SqlError>

/** Writes those that nothing is in the way of, and answers which. */
type InsertNew = (jobs: ReadonlyArray<NewJob>) => Created

const tuple = (job: NewJob) => [
  job.id,
  job.name,
  job.queue,
  job.priority,
  job.payload,
  runAtOf(job),
  delayOf(job),
  job.maxAttempts,
  job.uniqueKey,
  tagsOf(job),
  job.traceparent,
  job.scheduleId,
  job.slot
]

const valuesMysql = (db: Db, jobs: ReadonlyArray<NewJob>) =>
  Mysql.values(
    db.sql,
    {
      id: "key",
      name: "key",
      queue: "key",
      priority: "integer",
      payload: "text",
      run_at: "bigint",
      delay: "bigint",
      max_attempts: "integer",
      unique_key: "key",
      tags: "text",
      traceparent: "key",
      schedule_id: "key",
      slot: "bigint"
    },
    jobs.map(tuple)
  )

/** Those that neither repeat an id nor a unique key of one before them. */
const distinct = (jobs: ReadonlyArray<NewJob>): ReadonlyArray<NewJob> => {
  const seen = new Set<string>()
  return jobs.filter((job) => {
    const keys = [`id ${job.id}`, ...(job.uniqueKey === null ? [] : [`key ${key(job.name, job.uniqueKey)}`])]
    if (keys.some((one) => seen.has(one))) return false
    for (const one of keys) seen.add(one)
    return true
  })
}

/**
 * All of them at once, as nearly always nothing is in the way. A refused statement writes nothing and does not end the
 * transaction; then those that are taken are found and the others are tried again.
 */
const insertMysql =
  (db: Db): InsertNew =>
  (jobs) =>
    Effect.gen(function* () {
      const now = yield* db.now
      let open = distinct(jobs)
      for (let round = 0; round < 5 && open.length > 0; round++) {
        const statement = db.sql`INSERT INTO ${db.jobs} (${db.sql.literal(inserted)})
  SELECT ${db.sql.literal(selected)} FROM ${valuesMysql(db, open)}, (SELECT ${now} AS t) AS n`
        const done = yield* db.telling("jobs", "id", statement).pipe(
          Effect.as(true),
          Effect.catchIf(isUniqueViolation, () => Effect.succeed(false))
        )
        if (done) return open
        const ids = new Set((yield* present(db, open)).map((row) => row.id))
        const keys = new Set((yield* holders(db, open)).map((row) => key(row.name, row.unique_key)))
        open = open.filter(
          (job) => !ids.has(job.id) && (job.uniqueKey === null || !keys.has(key(job.name, job.uniqueKey)))
        )
      }
      return []
    })

/** By the columns' names; what is null is left out of the JSON. */
const record = (job: NewJob) => ({
  id: job.id,
  name: job.name,
  queue: job.queue,
  priority: job.priority,
  payload: job.payload,
  run_at: runAtOf(job) ?? undefined,
  delay: delayOf(job) ?? undefined,
  max_attempts: job.maxAttempts,
  unique_key: job.uniqueKey ?? undefined,
  tags: tagsOf(job),
  traceparent: job.traceparent ?? undefined,
  schedule_id: job.scheduleId ?? undefined,
  slot: job.slot ?? undefined
})

/** By a function that keeps its plan: to plan the statement each time takes longer than to write a few rows. */
const insertFewPg = (db: Db): InsertNew => {
  const call = PgCall.make(db, "dbjobq_insert", 3, "value")
  return (jobs) =>
    Effect.flatMap(db.present, (now) =>
      Effect.map(
        call<{ readonly answer: string | null }>([db.channel, now, JSON.stringify(jobs.map(record))]),
        ([row]) => PgCall.named(row?.answer, jobs)
      )
    )
}

/** In SQLite the clock is Effect's, so all is known beforehand. */
const valuesAt = (job: NewJob, now: number) => {
  const due = runAtOf(job) ?? now + (delayOf(job) ?? 0)
  return [
    job.id,
    job.name,
    job.queue,
    due <= now ? "pending" : "scheduled",
    job.priority,
    job.payload,
    due,
    job.maxAttempts,
    job.uniqueKey,
    tagsOf(job),
    job.traceparent,
    job.scheduleId,
    job.slot,
    now
  ]
}

const insertOne = `INSERT INTO dbjobq_jobs (${inserted})
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`

const manyAt = (db: Db, jobs: ReadonlyArray<NewJob>, now: Statement.Fragment) =>
  db.sql`INSERT INTO ${db.jobs} (${db.sql.literal(inserted)})
  SELECT ${db.sql.literal(selected)}
  FROM ${values(db, jobs, columns)}, (SELECT ${now} AS t) AS n
  WHERE true
  ON CONFLICT DO NOTHING`

const insertOneSqlite = (db: Db, job: NewJob): Created =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    db.telling<{ readonly id: string }>("jobs", "id", db.sql.unsafe(insertOne, valuesAt(job, now)))
  )

const insertMany = (db: Db, jobs: ReadonlyArray<NewJob>): Created =>
  Effect.flatMap(db.now, (now) => db.telling("jobs", "id", manyAt(db, jobs, now)))

/** One job's row, as SQLite's driver takes it. */
export const writeOf = (job: NewJob, now: number): Write => ({ text: insertOne, values: valuesAt(job, now), rows: 1 })

/** The rows of many. */
export const writesOf = (db: Db, jobs: ReadonlyArray<NewJob>, now: number): ReadonlyArray<Write> =>
  chunked(db, jobs).map((part) => {
    const [text, values] = manyAt(db, part, db.cast(now, "bigint")).compile()
    return { text, values, rows: part.length }
  })

/** So many are few: reading columns of many from arrays is faster than from JSON. */
const few = 100

const insertPg = (db: Db): InsertNew => {
  const insertFew = insertFewPg(db)
  return (jobs) => (jobs.length <= few ? insertFew(jobs) : insertMany(db, jobs))
}

const insertSqlite =
  (db: Db): InsertNew =>
  (jobs) => {
    const [only, second] = jobs
    return only !== undefined && second === undefined ? insertOneSqlite(db, only) : insertMany(db, jobs)
  }

const insertNew = { pg: insertPg, sqlite: insertSqlite, mysql: insertMysql }

const key = (name: string, uniqueKey: string): string => `${name}\n${uniqueKey}`

const present = (db: Db, jobs: ReadonlyArray<NewJob>) =>
  db.sql<{ readonly id: string; readonly name: string }>`SELECT id, name FROM ${db.jobs}
  WHERE ${db.among(
    "id",
    jobs.map((job) => job.id)
  )} ${db.latest}`

interface Holder {
  readonly id: string
  readonly name: string
  readonly unique_key: string
}

/** By the hash of name and key, which is what the unique index holds. */
const holdersMysql = (db: Db, pairs: ReadonlyArray<NewJob>) =>
  db.sql<Holder>`SELECT j.id, j.name, j.unique_key FROM ${Mysql.values(
    db.sql,
    { n: "key", k: "key" },
    pairs.map((job) => [job.name, job.uniqueKey])
  )} STRAIGHT_JOIN ${db.jobs} AS j ON j.active_key = ${db.sql.literal(Mysql.hash("v.n", "v.k"))} ${db.latest}`

const holders = (db: Db, jobs: ReadonlyArray<NewJob>) => {
  const pairs = jobs.filter((job) => job.uniqueKey !== null)
  if (pairs.length === 0) return Effect.succeed<ReadonlyArray<Holder>>([])
  if (db.dialect === "mysql") return holdersMysql(db, pairs)
  const wanted =
    db.dialect === "pg"
      ? db.sql`unnest(CAST(${pairs.map((job) => job.name)} AS text[]), CAST(${pairs.map(
          (job) => job.uniqueKey
        )} AS text[])) AS v(n, k)`
      : db.sql`(SELECT value ->> 0 AS n, value ->> 1 AS k FROM json_each(${JSON.stringify(
          pairs.map((job) => [job.name, job.uniqueKey])
        )})) AS v`
  return db.sql<Holder>`SELECT j.id, j.name, j.unique_key FROM ${wanted}
  JOIN ${db.jobs} AS j ON j.name = v.n AND j.unique_key = v.k
  WHERE j.unique_key IS NOT NULL AND j.state IN ${db.sql.literal(active)}`
}

/**
 * What became of jobs of which some, `rows`, are written. A holder of a unique key may finish between the refusal and the
 * look-up, so the rest is tried again.
 */
const refusedOnes = (
  db: Db,
  write: InsertNew,
  jobs: ReadonlyArray<NewJob>,
  first: ReadonlyArray<{ readonly id: string }>
): Effect.Effect<ReadonlyArray<Inserted>, SqlError | StorageError> =>
  Effect.gen(function* () {
    const answers: Array<Inserted> = []
    let open = jobs.map((job, index) => ({ index, job }))
    let rows = first
    for (let round = 0; round < 5; round++) {
      if (round > 0) rows = yield* write(open.map(({ job }) => job))
      const created = new Set(rows.map((row) => row.id))
      const refused = open.filter(({ index, job }) => {
        if (!created.delete(job.id)) return true
        answers[index] = { id: job.id, answer: "inserted", created: true }
        return false
      })
      if (refused.length === 0) return answers
      const found = yield* present(
        db,
        refused.map((item) => item.job)
      )
      const names = new Map(found.map((row) => [row.id, row.name]))
      const others = refused.filter(({ index, job }) => {
        const name = names.get(job.id)
        if (name === undefined) return true
        answers[index] = { id: job.id, answer: name === job.name ? "inserted" : "conflict", created: false }
        return false
      })
      if (others.length === 0) return answers
      const held = yield* holders(
        db,
        others.map((item) => item.job)
      )
      const holderOf = new Map(held.map((row) => [key(row.name, row.unique_key), row.id]))
      open = others.filter(({ index, job }) => {
        const holder = job.uniqueKey === null ? undefined : holderOf.get(key(job.name, job.uniqueKey))
        if (holder === undefined) return true
        answers[index] = { id: holder, answer: "duplicate", created: false }
        return false
      })
      if (open.length === 0) return answers
    }
    return yield* Effect.fail(
      new StorageError({ operation: "insert", message: "insert: unique keys kept changing hands", isTransient: true })
    )
  })

/** One chunk. Nearly always nothing is in the way of any. */
const chunk = (
  db: Db,
  write: InsertNew,
  jobs: ReadonlyArray<NewJob>
): Effect.Effect<ReadonlyArray<Inserted>, SqlError | StorageError> =>
  Effect.flatMap(write(jobs), (rows) =>
    rows.length === jobs.length
      ? Effect.succeed(jobs.map(({ id }): Inserted => ({ id, answer: "inserted", created: true })))
      : refusedOnes(db, write, jobs, rows)
  )

const sizeOf = (job: NewJob): number => 1_000 + 3 * job.payload.length

const chunked = (db: Db, jobs: ReadonlyArray<NewJob>): ReadonlyArray<ReadonlyArray<NewJob>> => {
  if (db.dialect === "mysql") return chunks(jobs, chunkSize, sizeOf)
  const parts: Array<ReadonlyArray<NewJob>> = []
  for (let at = 0; at < jobs.length; at += chunkSize) parts.push(jobs.slice(at, at + chunkSize))
  return parts
}

export type InsertWithin = (
  jobs: ReadonlyArray<NewJob>
) => Effect.Effect<ReadonlyArray<Inserted>, SqlError | StorageError>

const inChunks = (db: Db, write: InsertNew, parts: ReadonlyArray<ReadonlyArray<NewJob>>): ReturnType<InsertWithin> => {
  const [only, second] = parts
  return only !== undefined && second === undefined
    ? chunk(db, write, only)
    : Effect.map(
        Effect.forEach(parts, (part) => chunk(db, write, part)),
        (answers) => answers.flat()
      )
}

/** For a transaction that is open already. */
export const insertWithin = (db: Db): InsertWithin => {
  const write = insertNew[db.dialect](db)
  return (jobs) => inChunks(db, write, chunked(db, jobs))
}

export const insert = (db: Db): Service["insert"] => {
  const write = insertNew[db.dialect](db)
  return (jobs) => {
    if (jobs.length === 0) return Effect.succeed([])
    const refused = refusal(jobs)
    if (refused !== undefined) return Effect.fail(refused)
    const parts = chunked(db, jobs)
    const all = inChunks(db, write, parts)
    // what refuses one at last, must not leave others written before: a further chunk, or keys that changed hands
    const several = parts.length > 1 || (jobs.length > 1 && jobs.some((job) => job.uniqueKey !== null))
    return several ? db.atomic("insert", all) : db.run("insert", all)
  }
}
