/** No library: mysql2 and the statements a queue cannot do without. */
import type { Connection, ResultSetHeader, RowDataPacket } from "mysql2/promise"
import { chunks, lanes, type Payload, type Peer, priorityOf } from "../peer.js"

const batch = 1_000
const connections = 2
const pollMs = 1

/** An index on a column that is NULL for all but the pending stands for a partial one. */
const schema = `
  CREATE TABLE IF NOT EXISTS raw_jobs (
    id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name varchar(255) NOT NULL,
    state enum('pending', 'running', 'completed') NOT NULL DEFAULT 'pending',
    priority integer NOT NULL DEFAULT 0,
    payload longtext NOT NULL,
    run_at bigint NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    started_at bigint,
    finished_at bigint,
    ready integer GENERATED ALWAYS AS (CASE WHEN state = 'pending' THEN priority END) STORED,
    running boolean GENERATED ALWAYS AS (CASE WHEN state = 'running' THEN TRUE END) STORED,
    KEY raw_jobs_ready (ready DESC, run_at, id),
    KEY raw_jobs_running (running)
  ) ENGINE = InnoDB`

interface Claimed extends RowDataPacket {
  readonly id: number
  readonly payload: string
}

/** Completes one batch and claims the next in one commit. */
const turn = async (client: Connection, done: ReadonlyArray<number>): Promise<ReadonlyArray<Claimed>> => {
  const time = Date.now()
  await client.query("START TRANSACTION")
  if (done.length > 0) {
    await client.query("UPDATE raw_jobs SET state = 'completed', finished_at = ? WHERE id IN (?)", [time, done])
  }
  const [rows] = await client.query<Array<Claimed>>(
    `SELECT id, payload FROM raw_jobs FORCE INDEX (raw_jobs_ready)
     WHERE ready IS NOT NULL AND name = 'bench' AND run_at <= ?
     ORDER BY ready DESC, run_at, id LIMIT ${batch} FOR UPDATE SKIP LOCKED`,
    [time]
  )
  if (rows.length > 0) {
    await client.query<ResultSetHeader>(
      "UPDATE raw_jobs SET state = 'running', attempt = attempt + 1, started_at = ? WHERE id IN (?)",
      [time, rows.map(({ id }) => id)]
    )
  }
  await client.query("COMMIT")
  return rows
}

export const rawMysql: Peer = {
  name: "raw-mysql",
  store: "mysql",
  settings: `mysql2 alone; ${connections} connections, completes and claims ${batch} at once, polls every ${pollMs} ms`,
  finishedRows: "kept",
  durability: "innodb_flush_log_at_trx_commit as the server has it",
  priorities: true,
  retries: false,
  against: "dbjobq-mysql",
  open: async (place) => {
    const { createConnection, createPool } = await import("mysql2/promise")
    const pool = createPool({ uri: place.url, connectionLimit: 10 })
    await pool.query(schema)
    return {
      addEach: (payloads, inFlight) =>
        lanes(payloads, inFlight, (payload) =>
          pool.execute("INSERT INTO raw_jobs (name, payload, run_at) VALUES ('bench', ?, ?)", [
            JSON.stringify(payload),
            Date.now()
          ])
        ),
      addAll: async (jobs) => {
        const runAt = Date.now() + jobs.delaySeconds * 1_000
        for (const part of chunks(jobs.payloads, batch)) {
          await pool.query("INSERT INTO raw_jobs (name, payload, priority, run_at) VALUES ?", [
            part.map((payload) => [jobs.name, JSON.stringify(payload), priorityOf(jobs, payload), runAt])
          ])
        }
      },
      work: async ({ handler }) => {
        let running = true
        const loop = async () => {
          const client = await createConnection(place.url)
          await client.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
          let done: ReadonlyArray<number> = []
          while (running || done.length > 0) {
            const rows = await turn(client, done)
            for (const { payload } of rows) {
              const { n }: Payload = JSON.parse(payload)
              handler(n)
            }
            done = rows.map(({ id }) => id)
            if (rows.length === 0) await new Promise((resolve) => setTimeout(resolve, pollMs))
          }
          await client.end()
        }
        const loops = Array.from({ length: connections }, loop)
        return async () => {
          running = false
          await Promise.all(loops)
        }
      },
      isEmpty: async () => {
        for (const column of ["running", "ready"]) {
          const [rows] = await pool.query<Array<RowDataPacket>>(
            `SELECT 1 FROM raw_jobs FORCE INDEX (raw_jobs_${column}) WHERE ${column} IS NOT NULL AND name = 'bench' LIMIT 1`
          )
          if (rows.length > 0) return false
        }
        return true
      },
      tally: async () => {
        const [rows] = await pool.query<Array<RowDataPacket & { completed: number | null; unfinished: number | null }>>(
          `SELECT CAST(sum(state = 'completed') AS SIGNED) AS completed,
             CAST(sum(state <> 'completed') AS SIGNED) AS unfinished FROM raw_jobs WHERE name = 'bench'`
        )
        return { completed: rows[0]?.completed ?? 0, failed: 0, unfinished: rows[0]?.unfinished ?? 0 }
      },
      finishAll: async () => {
        await pool.query("UPDATE raw_jobs SET state = 'completed', finished_at = run_at WHERE state = 'pending'")
      },
      close: () => pool.end()
    }
  }
}
