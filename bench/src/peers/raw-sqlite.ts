/** No library: better-sqlite3 and the statements a queue cannot do without. */
import { now } from "../clock.js"
import { type Payload, type Peer, priorityOf } from "../peer.js"

const batch = 1_000
const pollMs = 1

export const rawSqlite: Peer = {
  name: "raw-sqlite",
  store: "sqlite",
  settings: `better-sqlite3 alone; completes and claims ${batch} at once, polls every ${pollMs} ms`,
  finishedRows: "kept",
  durability: "synchronous NORMAL",
  priorities: true,
  retries: false,
  against: "dbjobq-sqlite",
  open: async (place) => {
    const { default: Database } = await import("better-sqlite3")
    const db = new Database(place.url)
    db.pragma("journal_mode = WAL")
    db.pragma("synchronous = NORMAL")
    db.exec(`
      CREATE TABLE IF NOT EXISTS raw_jobs (
        id integer PRIMARY KEY, name text NOT NULL, state text NOT NULL DEFAULT 'pending', priority integer NOT NULL,
        payload text NOT NULL, run_at integer NOT NULL, attempt integer NOT NULL DEFAULT 0, started_at integer,
        finished_at integer);
      CREATE INDEX IF NOT EXISTS raw_jobs_ready ON raw_jobs (priority DESC, run_at, id) WHERE state = 'pending';
      CREATE INDEX IF NOT EXISTS raw_jobs_running ON raw_jobs (id) WHERE state = 'running'`)
    const insert = db.prepare("INSERT INTO raw_jobs (name, payload, priority, run_at) VALUES (?, ?, ?, ?)")
    const complete = db.prepare("UPDATE raw_jobs SET state = 'completed', finished_at = ? WHERE id = ?")
    const claim = db.prepare<[number, number], { id: number; payload: string }>(
      `UPDATE raw_jobs SET state = 'running', attempt = attempt + 1, started_at = ?
       WHERE id IN (SELECT id FROM raw_jobs WHERE state = 'pending' AND name = 'bench' AND run_at <= ?
         ORDER BY priority DESC, run_at, id LIMIT ${batch}) RETURNING id, payload`
    )
    const left = ["pending", "running"].map((state) =>
      db.prepare(`SELECT 1 FROM raw_jobs WHERE state = '${state}' AND name = 'bench' LIMIT 1`)
    )
    const tally = db.prepare<[], { completed: number; unfinished: number }>(
      `SELECT count(*) FILTER (WHERE state = 'completed') AS completed,
         count(*) FILTER (WHERE state <> 'completed') AS unfinished FROM raw_jobs WHERE name = 'bench'`
    )
    const turn = db.transaction((done: ReadonlyArray<number>) => {
      const time = Date.now()
      for (const id of done) complete.run(time, id)
      return claim.all(time, time)
    })
    return {
      // synchronous: nothing is ever in flight
      addEach: async (payloads) => {
        for (const payload of payloads) insert.run("bench", JSON.stringify(payload), 0, Date.now())
      },
      addAll: async (jobs) => {
        const runAt = Date.now() + jobs.delaySeconds * 1_000
        db.transaction(() => {
          for (const payload of jobs.payloads) {
            insert.run(jobs.name, JSON.stringify(payload), priorityOf(jobs, payload), runAt)
          }
        })()
      },
      work: async ({ handler }) => {
        let running = true
        const loop = async () => {
          let done: ReadonlyArray<number> = []
          let yielded = now()
          while (running || done.length > 0) {
            const rows = turn.immediate(done)
            for (const { payload } of rows) {
              const { n }: Payload = JSON.parse(payload)
              handler(n)
            }
            done = rows.map(({ id }) => id)
            if (rows.length === 0) await new Promise((resolve) => setTimeout(resolve, pollMs))
            else if (now() - yielded > 5) {
              await new Promise((resolve) => setImmediate(resolve))
              yielded = now()
            }
          }
        }
        const ended = loop()
        return async () => {
          running = false
          await ended
        }
      },
      isEmpty: async () => left.every((statement) => statement.get() === undefined),
      tally: async () => ({ failed: 0, unfinished: 0, ...tally.get() }),
      finishAll: async () => {
        db.exec("UPDATE raw_jobs SET state = 'completed', finished_at = run_at WHERE state = 'pending'")
      },
      close: async () => {
        db.close()
      }
    }
  }
}
