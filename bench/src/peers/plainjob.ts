/** plainjob on better-sqlite3. A worker of it runs one job at a time, so concurrency is that many worker loops. */
import { orThrow, type Payload, type Peer } from "../peer.js"

const silent = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} }

const make = (name: string, synchronous: "NORMAL" | "FULL", durability: string): Peer => ({
  name,
  store: "sqlite",
  settings: "defaults (poll 1 s); concurrency is that many worker loops; addMany",
  finishedRows: "kept",
  durability,
  priorities: false,
  retries: false,
  against: synchronous === "FULL" ? "dbjobq-sqlite-full" : "dbjobq-sqlite",
  open: async (place) => {
    const { better, defineQueue, defineWorker } = await import("plainjob")
    const { default: Database } = await import("better-sqlite3")
    const db = new Database(place.url)
    const queue = defineQueue({ connection: better(db), logger: silent })
    db.pragma(`synchronous = ${synchronous}`)
    // Pending 0, Processing 1, Done 2, Failed 3
    const left = db.prepare("SELECT 1 FROM plainjob_jobs WHERE status IN (0, 1) AND type = 'bench' LIMIT 1")
    const tally = db.prepare<[], { completed: number; failed: number; unfinished: number }>(
      `SELECT count(*) FILTER (WHERE status = 2) AS completed, count(*) FILTER (WHERE status = 3) AS failed,
         count(*) FILTER (WHERE status < 2) AS unfinished FROM plainjob_jobs WHERE type = 'bench'`
    )
    return {
      // its calls are synchronous: nothing is ever in flight
      addEach: async (payloads) => {
        for (const payload of payloads) queue.add("bench", payload)
      },
      addAll: async (batch) => {
        const delay = batch.delaySeconds > 0 ? { delay: batch.delaySeconds * 1_000 } : {}
        queue.addMany(batch.name, [...batch.payloads], delay)
      },
      work: async ({ concurrency, handler }) => {
        const workers = Array.from({ length: concurrency }, () =>
          defineWorker(
            "bench",
            (job) => {
              const { n }: Payload = JSON.parse(job.data)
              orThrow(handler(n))
            },
            { queue, logger: silent }
          )
        )
        const running = workers.map((worker) => worker.start())
        return async () => {
          await Promise.all(workers.map((worker) => worker.stop()))
          await Promise.all(running)
        }
      },
      isEmpty: async () => left.get() === undefined,
      tally: async () => tally.get() ?? { failed: 0, unfinished: 0 },
      finishAll: async () => {
        db.exec("UPDATE plainjob_jobs SET status = 2 WHERE status = 0")
      },
      close: async () => queue.close()
    }
  }
})

export const plainjob = make("plainjob", "NORMAL", "synchronous NORMAL (its default)")
export const plainjobFull = make("plainjob-full", "FULL", "synchronous FULL")
