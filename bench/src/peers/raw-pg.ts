/** No library: node-postgres and the statements a queue cannot do without. What is left for a library to lose. */
import type { Client } from "pg"
import { chunks, lanes, type Payload, type Peer, priorityOf } from "../peer.js"

const batch = 1_000
const connections = 2

const schema = `
  CREATE TABLE IF NOT EXISTS raw_jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    state text NOT NULL DEFAULT 'pending',
    priority integer NOT NULL DEFAULT 0,
    payload text NOT NULL,
    run_at timestamptz NOT NULL DEFAULT now(),
    attempt integer NOT NULL DEFAULT 0,
    started_at timestamptz,
    finished_at timestamptz
  ) WITH (fillfactor = 85);
  CREATE INDEX IF NOT EXISTS raw_jobs_ready ON raw_jobs (priority DESC, run_at, id) WHERE state = 'pending';
  CREATE INDEX IF NOT EXISTS raw_jobs_running ON raw_jobs (id) WHERE state = 'running'`

const insertOne = {
  name: "insert",
  text: `WITH made AS (INSERT INTO raw_jobs (name, payload) VALUES ('bench', $1) RETURNING id)
    SELECT pg_notify('raw_jobs', '') FROM made`
}

const insertMany = {
  name: "insert-many",
  text: `INSERT INTO raw_jobs (name, payload, priority, run_at)
    SELECT $1, payload, priority, now() + make_interval(secs => $4) FROM unnest($2::text[], $3::int[]) AS j (payload, priority)`
}

/** Completes one batch and claims the next in one commit. The array keeps the update on the primary key. */
const turn = {
  name: "turn",
  text: `WITH done AS (UPDATE raw_jobs SET state = 'completed', finished_at = now() WHERE id = ANY($1::bigint[]))
    UPDATE raw_jobs SET state = 'running', attempt = attempt + 1, started_at = now()
    WHERE id = ANY(ARRAY(
      SELECT id FROM raw_jobs WHERE state = 'pending' AND name = 'bench' AND run_at <= now()
      ORDER BY priority DESC, run_at, id LIMIT ${batch} FOR UPDATE SKIP LOCKED))
    RETURNING id, payload`
}

export const rawPg: Peer = {
  name: "raw-pg",
  store: "postgres",
  settings: `pg alone; ${connections} connections, completes and claims ${batch} at once, one NOTIFY a call`,
  finishedRows: "kept",
  durability: "synchronous_commit as the server has it",
  priorities: true,
  retries: false,
  against: "dbjobq-pg",
  open: async (place) => {
    const { default: pg } = await import("pg")
    const pool = new pg.Pool({ connectionString: place.url, max: 10 })
    pool.on("error", () => {})
    await pool.query(schema)
    return {
      addEach: (payloads, inFlight) =>
        lanes(payloads, inFlight, (payload) => pool.query({ ...insertOne, values: [JSON.stringify(payload)] })),
      addAll: async (jobs) => {
        for (const part of chunks(jobs.payloads, batch)) {
          await pool.query({
            ...insertMany,
            values: [
              jobs.name,
              part.map((payload) => JSON.stringify(payload)),
              part.map((payload) => priorityOf(jobs, payload)),
              jobs.delaySeconds
            ]
          })
        }
      },
      work: async ({ handler }) => {
        let running = true
        let wake = () => {}
        const loop = async (client: Client) => {
          let done: ReadonlyArray<string> = []
          while (running || done.length > 0) {
            const { rows } = await client.query<{ id: string; payload: string }>({ ...turn, values: [done] })
            for (const { payload } of rows) {
              const { n }: Payload = JSON.parse(payload)
              handler(n)
            }
            done = rows.map(({ id }) => id)
            if (rows.length === 0 && running) {
              await new Promise<void>((resolve) => {
                const timer = setTimeout(resolve, 1_000)
                const before = wake
                wake = () => {
                  clearTimeout(timer)
                  before()
                  resolve()
                }
              })
            }
          }
          await client.end()
        }
        const connect = async () => {
          const client = new pg.Client({ connectionString: place.url })
          client.on("error", () => {})
          await client.connect()
          return client
        }
        const listener = await connect()
        listener.on("notification", () => {
          const woken = wake
          wake = () => {}
          woken()
        })
        await listener.query("LISTEN raw_jobs")
        const loops = Array.from({ length: connections }, async () => {
          const client = await connect()
          // a table just filled has no statistics, and is sorted whole at each claim without these
          await client.query("SET enable_seqscan = off; SET enable_bitmapscan = off")
          await loop(client)
        })
        return async () => {
          running = false
          wake()
          await Promise.all(loops)
          await listener.end()
        }
      },
      isEmpty: async () => {
        const left = await pool.query(
          "SELECT 1 FROM raw_jobs WHERE state IN ('pending', 'running') AND name = 'bench' LIMIT 1"
        )
        return left.rowCount === 0
      },
      tally: async () => {
        const found = await pool.query<{ completed: number; unfinished: number }>(
          `SELECT count(*) FILTER (WHERE state = 'completed')::int AS completed,
             count(*) FILTER (WHERE state <> 'completed')::int AS unfinished FROM raw_jobs WHERE name = 'bench'`
        )
        return { failed: 0, unfinished: 0, ...found.rows[0] }
      },
      finishAll: async () => {
        await pool.query("UPDATE raw_jobs SET state = 'completed', finished_at = now() WHERE state = 'pending'")
      },
      close: () => pool.end()
    }
  }
}
