/** Scheduled jobs that come due: making them pending, and seeing whether there is anything to do. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import type { Service } from "../../JobStorage.js"
import type { Left } from "../../internal/turns.js"
import * as Change from "./change.js"
import type { Db } from "./db.js"
import { detached } from "./ownership.js"
import * as PgCall from "./pgCall.js"
import type { Big } from "./row.js"

/** What there is for workers to do, now or later. On PostgreSQL only. */
export const look = (db: Db): Effect.Effect<Left, SqlError> => {
  const call = PgCall.make(db, "dbjobq_look", 1, "rows")
  return Effect.flatMap(db.present, (now) =>
    Effect.map(detached(call<Left>([now])), ([left]) => left ?? { pending: true, due: null, now: 0 })
  )
}

type Promoted = Effect.Effect.Success<ReturnType<Service["promote"]>>
type Promote = (limit: number) => Effect.Effect<Promoted, SqlError | StorageError>

const promotePg = (db: Db): Promote => {
  const call = PgCall.make(db, "dbjobq_promote", 2, "rows")
  return (limit) =>
    Effect.flatMap(db.present, (now) =>
      Effect.map(
        call<{ readonly promoted: number; readonly nextIn: number | null }>([now, Math.max(0, limit)]),
        ([answer]) => ({ promoted: answer?.promoted ?? 0, nextIn: answer?.nextIn ?? undefined })
      )
    )
}

const promoteOther =
  (db: Db): Promote =>
  (limit) =>
    Effect.gen(function* () {
      const { sql } = db
      const now = yield* db.now
      const rows =
        limit <= 0
          ? []
          : yield* Change.update(db, {
              table: db.jobs,
              set: sql`state = 'pending'`,
              pick: sql`SELECT id FROM ${db.jobsBy("dbjobq_jobs_due")} WHERE state = 'scheduled' AND ${db.dueAt} <= ${now}
  ORDER BY ${db.dueAt} LIMIT ${db.atMost(limit)} ${db.skipLocked}`,
              returning: "id"
            })
      const next = yield* sql<{
        readonly run_at: Big
        readonly now: Big
      }>`SELECT run_at, ${now} AS now FROM ${db.jobsBy("dbjobq_jobs_due")}
WHERE state = 'scheduled' AND ${db.dueAt} IS NOT NULL ORDER BY ${db.dueAt} LIMIT 1`
      const first = next[0]
      return {
        promoted: rows.length,
        nextIn: first === undefined ? undefined : Math.max(0, Number(first.run_at) - Number(first.now))
      }
    })

export const promote = (db: Db): Service["promote"] => {
  const promoted = (db.dialect === "pg" ? promotePg : promoteOther)(db)
  return (limit) => db.run("promote", promoted(limit))
}
