/** pg-boss with notifications and batches of 1,000; the batch takes the place of concurrency there. */
import { chunks, JobFailure, lanes, type Payload, type Peer, priorityOf, retryDelay } from "../peer.js"

export const pgboss: Peer = {
  name: "pgboss",
  store: "postgres",
  settings:
    "useListenNotify, queue notify, batchSize 1000, localConcurrency 2, burstWhenBatchFull, pollingIntervalSeconds 0.5; insert() by 1,000; with failing jobs also perJobResults, notifyPollingIntervalSeconds 0.5",
  finishedRows: "kept",
  durability: "synchronous_commit as the server has it",
  priorities: true,
  retries: true,
  against: "dbjobq-pg",
  open: async (place) => {
    const { PgBoss } = await import("pg-boss")
    const { default: pg } = await import("pg")
    const pool = new pg.Pool({ connectionString: place.url, max: 1 })
    pool.on("error", () => {})
    const boss = new PgBoss({ connectionString: place.url, max: 12, useListenNotify: true })
    boss.on("error", () => {})
    await boss.start()
    for (const name of ["bench", "other"]) {
      // whole seconds only
      await boss.createQueue(name, { notify: true, retryLimit: 3, retryDelay: Math.ceil(retryDelay / 1_000) })
    }
    return {
      addEach: (payloads, inFlight) => lanes(payloads, inFlight, (payload) => boss.send("bench", payload)),
      addAll: async (batch) => {
        const startAfter = batch.delaySeconds > 0 ? { startAfter: batch.delaySeconds } : {}
        for (const part of chunks(batch.payloads, 1_000)) {
          await boss.insert(
            batch.name,
            part.map((data) => ({ data, priority: priorityOf(batch, data), ...startAfter }))
          )
        }
      },
      work: async ({ failing, handler }) => {
        const tuned = { batchSize: 1_000, localConcurrency: 2, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 }
        if (failing) {
          await boss.work<Payload, void, typeof tuned & { perJobResults: true; notifyPollingIntervalSeconds: number }>(
            "bench",
            // a retry falling due notifies nobody, and its backstop is 30 s
            { ...tuned, perJobResults: true, notifyPollingIntervalSeconds: 0.5 },
            async (jobs) =>
              jobs.map(({ id, data }) =>
                handler(data.n)
                  ? { id, status: "completed" }
                  : { id, status: "failed", output: { message: "asked to fail" } }
              )
          )
        } else {
          await boss.work<Payload>("bench", tuned, async (jobs) => {
            for (const { data } of jobs) if (!handler(data.n)) throw new JobFailure("asked to fail")
          })
        }
        return () => boss.offWork("bench")
      },
      isEmpty: async () => {
        const left = await pool.query("SELECT 1 FROM pgboss.job WHERE name = 'bench' AND state < 'completed' LIMIT 1")
        return left.rowCount === 0
      },
      tally: async () => {
        const found = await pool.query<{ completed: number; failed: number; unfinished: number }>(
          `SELECT count(*) FILTER (WHERE state = 'completed')::int AS completed,
             count(*) FILTER (WHERE state > 'completed')::int AS failed,
             count(*) FILTER (WHERE state < 'completed')::int AS unfinished
           FROM pgboss.job WHERE name = 'bench'`
        )
        return found.rows[0] ?? { failed: 0, unfinished: 0 }
      },
      finishAll: async () => {
        await pool.query(
          "UPDATE pgboss.job SET state = 'completed', started_on = now(), completed_on = now() WHERE state < 'active'"
        )
      },
      close: async () => {
        await boss.stop({ graceful: true, timeout: 5_000 })
        await pool.end()
      }
    }
  }
}
