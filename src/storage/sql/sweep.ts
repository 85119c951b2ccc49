import * as Effect from "effect/Effect"
import * as Retention from "../../internal/retention.js"
import type { StorageError } from "../../JobError.js"
import type { Service, State } from "../../JobStorage.js"
import * as Change from "./change.js"
import type { Db } from "./db.js"
import { whole } from "./db.js"

const removeOld =
  (db: Db, operation: string) =>
  ({ age, state }: Retention.Old, limit: number): Effect.Effect<number, StorageError> =>
    db
      .run(
        operation,
        Effect.flatMap(db.now, (now) =>
          Change.remove(db, {
            table: db.jobs,
            pick: db.sql`SELECT id FROM ${db.jobsBy("dbjobq_jobs_finished")}
  WHERE ${db.finishedState} = ${state} AND finished_at IS NOT NULL AND finished_at <= ${now} - ${db.cast(whole(age), "bigint")}
  ORDER BY finished_at LIMIT ${db.atMost(limit)} ${db.skipLocked}`
          })
        )
      )
      .pipe(Effect.map((rows) => rows.length))

export const prune =
  (db: Db): Service["prune"] =>
  (states, age, limit) =>
    Retention.removeAll(
      states.map((state) => ({ state, age })),
      limit,
      removeOld(db, "prune")
    )

export const sweep =
  (db: Db): Service["sweep"] =>
  (request) =>
    Effect.gen(function* () {
      const { sql } = db
      const dies = sql`attempt >= max_attempts OR crashes + 1 >= ${db.cast(request.crashLimit, "integer")}`
      const rows = yield* db.run(
        "sweep",
        Effect.flatMap(db.now, (now) =>
          Change.update<{ readonly state: State }>(db, {
            table: db.jobs,
            set: sql`state = CASE WHEN cancel_requested THEN 'cancelled' WHEN ${dies} THEN 'failed' ELSE 'pending' END,
  failure = CASE WHEN NOT cancel_requested AND (${dies}) THEN ${db.cast(request.crashFailure, "text")} ELSE failure END,
  finished_at = CASE WHEN cancel_requested OR ${dies} THEN ${now} ELSE NULL END,
  crashes = crashes + 1, token = token + 1, owner = NULL, lease_until = NULL`,
            pick: sql`SELECT id FROM ${db.jobsBy("dbjobq_jobs_lease")} WHERE state = 'running' AND lease_until <= ${now}
  ORDER BY lease_until LIMIT ${db.atMost(request.limit)} ${db.skipLocked}`,
            returning: "state",
            tells: "jobs"
          })
        )
      )
      const rescued = rows.filter((row) => row.state === "pending").length
      const work = Retention.due(request.retention)
      const removed = yield* Retention.removeAll(work, request.limit, removeOld(db, "sweep"))
      return { rescued, ended: rows.length - rescued, removed }
    })
