/** What operators do to jobs and queues. */
import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import type { Due, Service, State } from "../../JobStorage.js"
import * as Change from "./change.js"
import type { Db } from "./db.js"
import { whole } from "./db.js"
import { detached } from "./ownership.js"
import { isLockTimeout, isUniqueViolation } from "./isTransient.js"
import { active } from "./row.js"

interface Found {
  readonly id: string
  readonly state: State
}

const finished = (state: State): boolean => state === "completed" || state === "failed" || state === "cancelled"

const statesOf = (db: Db, ids: ReadonlyArray<string>) =>
  Effect.map(
    db.sql<Found>`SELECT id, state FROM ${db.jobs} WHERE ${db.among("id", ids)} ${db.latest}`,
    (rows) => new Map(rows.map((row) => [row.id, row.state]))
  )

export const cancel =
  (db: Db): Service["cancel"] =>
  (ids) =>
    ids.length === 0
      ? Effect.succeed([])
      : db.run(
          "cancel",
          Effect.gen(function* () {
            const now = yield* db.now
            const rows = yield* Change.update<Found>(db, {
              table: db.jobs,
              set: db.sql`state = CASE WHEN state = 'running' THEN state ELSE 'cancelled' END,
  token = CASE WHEN state = 'running' THEN token ELSE token + 1 END,
  finished_at = CASE WHEN state = 'running' THEN NULL ELSE ${now} END,
  cancel_requested = CASE WHEN state = 'running' THEN TRUE ELSE cancel_requested END`,
              where: db.sql`${db.among("id", ids)} AND state IN ${db.sql.literal(active)}`,
              returning: "id, state"
            })
            const changed = new Map(rows.map((row) => [row.id, row.state]))
            const others = rows.length === ids.length ? changed : yield* statesOf(db, ids)
            return ids.map((id) => {
              const state = changed.get(id)
              if (state !== undefined) return state === "running" ? "requested" : "cancelled"
              const other = others.get(id)
              // a repeat after a lost reply finds its own work
              return other === undefined ? "notFound" : other === "cancelled" ? "cancelled" : "finished"
            })
          })
        )

const rerunWhere = (db: Db, where: ReturnType<Db["among"]>) =>
  Effect.flatMap(db.now, (now) =>
    Change.update<{ readonly id: string }>(db, {
      table: db.jobs,
      set: db.sql`state = 'pending', generation = generation + 1, token = token + 1, attempt = 0, crashes = 0, failure = NULL,
  result = NULL, progress = NULL, progress_message = NULL, cancel_requested = FALSE, owner = NULL, lease_until = NULL,
  run_at = ${now}, started_at = NULL, finished_at = NULL`,
      where: db.sql`${where} AND finished_at IS NOT NULL`,
      returning: "id",
      tells: "jobs"
    })
  )

/** A row with a unique key may collide, so it is tried alone, in a savepoint where the caller has a transaction. */
const rerunUnique = (db: Db, id: string): Effect.Effect<"rerun" | "unfinished" | "duplicate", StorageError> =>
  db.atomic("rerun", rerunWhere(db, db.sql`id = ${id}`)).pipe(
    Effect.map((rows) => (rows.length > 0 ? ("rerun" as const) : ("unfinished" as const))),
    Effect.catchAll((error) =>
      isUniqueViolation(error.cause) ? Effect.succeed("duplicate" as const) : Effect.fail(error)
    )
  )

export const rerun =
  (db: Db): Service["rerun"] =>
  (ids) =>
    ids.length === 0
      ? Effect.succeed([])
      : Effect.gen(function* () {
          const answers = new Map<string, "rerun" | "unfinished" | "duplicate">()
          const rows = yield* db.run("rerun", rerunWhere(db, db.sql`${db.among("id", ids)} AND unique_key IS NULL`))
          for (const row of rows) answers.set(row.id, "rerun")
          if (rows.length < ids.length) {
            const states = yield* db.run("rerun", statesOf(db, ids))
            for (const [id, state] of states) {
              if (!answers.has(id)) answers.set(id, finished(state) ? yield* rerunUnique(db, id) : "unfinished")
            }
          }
          return ids.map((id) => answers.get(id) ?? "notFound")
        })

/** In terms of `c.t`, the clock read once: read twice it may tick in between, and what is due now would be due later. */
const dueAt = (db: Db, due: Due) =>
  "runAt" in due ? db.cast(Math.ceil(due.runAt), "bigint") : db.sql`c.t + ${db.cast(whole(due.delay), "bigint")}`

export const reschedule =
  (db: Db): Service["reschedule"] =>
  (ids, due) =>
    ids.length === 0
      ? Effect.succeed([])
      : db.run(
          "reschedule",
          Effect.gen(function* () {
            const now = yield* db.now
            const rows = yield* Change.update<Found>(db, {
              table: db.jobs,
              set: db.sql`run_at = n.due, state = CASE WHEN n.due <= n.t THEN 'pending' ELSE 'scheduled' END`,
              from: db.sql`(SELECT c.t, ${dueAt(db, due)} AS due FROM (SELECT ${now} AS t) AS c) AS n`,
              where: db.sql`${db.among("id", ids)} AND state IN ('scheduled', 'pending')`,
              returning: "id, state",
              tells: "jobs"
            })
            const changed = new Set(rows.map((row) => row.id))
            const others = changed.size === ids.length ? new Map<string, State>() : yield* statesOf(db, ids)
            return ids.map((id) => {
              if (changed.has(id)) return "rescheduled"
              const state = others.get(id)
              return state === undefined ? "notFound" : finished(state) ? "finished" : "running"
            })
          })
        )

export const remove =
  (db: Db): Service["remove"] =>
  (ids) =>
    ids.length === 0
      ? Effect.succeed([])
      : db.run(
          "remove",
          Effect.gen(function* () {
            const where = db.sql`${db.among("id", ids)} AND state <> 'running'`
            const gone = new Set(yield* Change.remove(db, { table: db.jobs, where }))
            const others = gone.size === ids.length ? new Map<string, State>() : yield* statesOf(db, ids)
            return ids.map((id) => (gone.has(id) ? "removed" : others.has(id) ? "running" : "notFound"))
          })
        )

const setPaused = (db: Db, queue: string, paused: boolean) =>
  db.sql`INSERT INTO ${db.queues} (queue, paused) VALUES (${queue}, ${db.sql.literal(paused ? "TRUE" : "FALSE")})
${db.sql.literal(
  db.dialect === "mysql"
    ? `ON DUPLICATE KEY UPDATE paused = ${paused ? "TRUE" : "FALSE"}`
    : "ON CONFLICT (queue) DO UPDATE SET paused = excluded.paused"
)}`

/**
 * Every claim reads the queues table, so this lock waits for the claims in flight and none can commit after the pause.
 * A reader that stays (a dump) must not stall the queue: then the pause holds for claims that begin later.
 */
const pauseLocked = (db: Db, queue: string) =>
  db
    .atomic(
      "pauseQueue",
      Effect.zipRight(
        db.sql`SET LOCAL lock_timeout = '1s'`,
        Effect.zipRight(db.sql`LOCK TABLE ${db.queues} IN ACCESS EXCLUSIVE MODE`, setPaused(db, queue, true))
      )
    )
    .pipe(
      Effect.catchAll((error) =>
        isLockTimeout(error.cause) ? db.run("pauseQueue", setPaused(db, queue, true)) : Effect.fail(error)
      )
    )

/** Claims hold the rows of the queues table to their end; see claimMysql.ts. */
const pauseMysql = (db: Db, queue: string) =>
  db.atomic(
    "pauseQueue",
    Effect.zipRight(db.sql`SELECT queue FROM ${db.queues} WHERE queue = '' FOR UPDATE`, setPaused(db, queue, true))
  )

// not in the caller's transaction: its lock would stop every claim until the commit
export const pauseQueue =
  (db: Db): Service["pauseQueue"] =>
  (queue) =>
    Effect.asVoid(
      detached(
        db.dialect === "pg"
          ? pauseLocked(db, queue)
          : db.dialect === "mysql"
            ? pauseMysql(db, queue)
            : db.run("pauseQueue", setPaused(db, queue, true))
      )
    )

export const resumeQueue =
  (db: Db): Service["resumeQueue"] =>
  (queue) => {
    const resume = db.run("resumeQueue", db.telling("jobs", "queue", setPaused(db, queue, false)))
    return Effect.asVoid(db.dialect === "mysql" ? detached(resume) : resume)
  }

export const pausedQueues = (db: Db): Service["pausedQueues"] =>
  db
    .run("pausedQueues", db.sql<{ readonly queue: string }>`SELECT queue FROM ${db.queues} WHERE paused ORDER BY queue`)
    .pipe(Effect.map((rows) => rows.map((row) => row.queue)))
