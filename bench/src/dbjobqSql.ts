/** Shortcuts on the tables of the SQL storages, which public counts would read in full. */
import { SqlClient } from "@effect/sql"
import { Effect } from "effect"
import type { Shortcuts } from "./dbjobq.js"

const sql = <A>(use: (client: SqlClient.SqlClient) => Effect.Effect<A, unknown>) =>
  Effect.flatMap(SqlClient.SqlClient, use)

export const shortcuts: Shortcuts<SqlClient.SqlClient> = {
  isEmpty: sql((client) =>
    Effect.map(
      client`SELECT id FROM dbjobq_jobs WHERE state IN ('scheduled', 'pending', 'running') AND name = 'bench' LIMIT 1`,
      (rows) => rows.length === 0
    )
  ),
  tally: sql((client) =>
    Effect.map(
      client<{ readonly state: string; readonly found: number | string }>`
        SELECT state, count(*) AS found FROM dbjobq_jobs WHERE name = 'bench' GROUP BY state`,
      (rows) => {
        const sum = (...states: ReadonlyArray<string>) =>
          rows.reduce((total, { state, found }) => (states.includes(state) ? total + Number(found) : total), 0)
        return {
          completed: sum("completed"),
          failed: sum("failed", "cancelled"),
          unfinished: sum("scheduled", "pending", "running")
        }
      }
    )
  ),
  finishAll: sql(
    (client) => client`
      UPDATE dbjobq_jobs SET state = 'completed', attempt = 1, started_at = run_at, finished_at = run_at
      WHERE state = 'pending'`
  )
}
