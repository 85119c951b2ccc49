/** Shortcuts on the tables of the SQL storages, which public counts would read in full. */
import { SqlClient } from "@effect/sql"
import { Effect } from "effect"
import type { Shortcuts } from "./dbjobq.js"

const sql = <A>(use: (client: SqlClient.SqlClient) => Effect.Effect<A, unknown>) =>
  Effect.flatMap(SqlClient.SqlClient, use)

/** Where the unfinished rows are, each by the small index that holds only them. Running ones first: they are last to go. */
const partialIndexes = ["running", "pending", "scheduled"].map((state) => `dbjobq_jobs WHERE state = '${state}'`)
const nullableColumns = ["lease lease_until", "ready ready_name", "due due_at"]
  .map((index) => index.split(" "))
  .map(([index, column]) => `dbjobq_jobs FORCE INDEX (dbjobq_jobs_${index}) WHERE ${column} IS NOT NULL`)

const make = (unfinished: ReadonlyArray<string>): Shortcuts<SqlClient.SqlClient> => ({
  isEmpty: sql((client) =>
    Effect.map(
      client.unsafe<{ readonly found: number | null }>(
        `SELECT CASE ${unfinished.map((rows) => `WHEN EXISTS (SELECT 1 FROM ${rows} AND name = 'bench') THEN 1`).join(" ")} END AS found`
      ),
      (rows) => rows[0]?.found === null
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
})

export const shortcuts = make(partialIndexes)
export const mysqlShortcuts = make(nullableColumns)
