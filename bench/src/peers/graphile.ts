/** graphile-worker: as it comes, and with the batching its performance page describes. */
import { chunks, lanes, orThrow, type Payload, type Peer, priorityOf } from "../peer.js"

interface Batching {
  readonly localQueue: { readonly size: number }
  readonly completeJobBatchDelay: number
  readonly failJobBatchDelay: number
}

const batched = (size: number): Batching => ({
  localQueue: { size },
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0
})

const bench = "(SELECT id FROM graphile_worker._private_tasks WHERE identifier = 'bench')"

/** Producers add 10 at a time at most, a worker needs a connection per running job when not batched. */
const spareConnections = 2

const make = (name: string, settings: string, worker: Batching | undefined): Peer => ({
  name,
  store: "postgres",
  settings,
  finishedRows: "deleted",
  durability: "synchronous_commit as the server has it",
  priorities: true,
  retries: true,
  against: "dbjobq-pg",
  open: async (place) => {
    const { Logger, makeWorkerUtils, run } = await import("graphile-worker")
    const { default: pg } = await import("pg")
    const logger = new Logger(() => () => {})
    const pgPool = new pg.Pool({ connectionString: place.url, max: 10 + spareConnections })
    pgPool.on("error", () => {})
    const utils = await makeWorkerUtils({ pgPool, logger })
    await utils.migrate()
    return {
      addEach: (payloads, inFlight) => lanes(payloads, inFlight, (payload) => utils.addJob("bench", payload)),
      addAll: async (batch) => {
        const runAt = batch.delaySeconds > 0 ? { runAt: new Date(Date.now() + batch.delaySeconds * 1_000) } : {}
        for (const part of chunks(batch.payloads, 1_000)) {
          await utils.addJobs(
            part.map((payload) => ({
              identifier: batch.name,
              payload,
              // smaller runs first there
              priority: -priorityOf(batch, payload),
              ...runAt
            }))
          )
        }
      },
      work: async ({ concurrency, handler }) => {
        const workerPool = new pg.Pool({ connectionString: place.url, max: concurrency + spareConnections })
        workerPool.on("error", () => {})
        const runner = await run({
          pgPool: workerPool,
          concurrency,
          logger,
          noHandleSignals: true,
          taskList: {
            bench: (payload) => orThrow(handler((payload as Payload).n))
          },
          ...(worker === undefined ? {} : { preset: { worker } })
        })
        return async () => {
          await runner.stop()
          await workerPool.end()
        }
      },
      isEmpty: async () => {
        const left = await pgPool.query(
          `SELECT 1 FROM graphile_worker._private_jobs WHERE task_id = ${bench} AND attempts < max_attempts LIMIT 1`
        )
        return left.rowCount === 0
      },
      tally: async () => {
        const found = await pgPool.query<{ failed: number; unfinished: number }>(
          `SELECT count(*) FILTER (WHERE attempts >= max_attempts)::int AS failed,
             count(*) FILTER (WHERE attempts < max_attempts)::int AS unfinished
           FROM graphile_worker._private_jobs WHERE task_id = ${bench}`
        )
        return found.rows[0] ?? { failed: 0, unfinished: 0 }
      },
      close: async () => {
        await utils.release()
        await pgPool.end()
      }
    }
  }
})

export const graphileDefault = make("graphile-default", "defaults; one claim and one commit a job", undefined)
export const graphile500 = make(
  "graphile-500",
  "localQueue.size 500, completeJobBatchDelay 0, failJobBatchDelay 0 (its documented fastest)",
  batched(500)
)
export const graphile2000 = make(
  "graphile-2000",
  "localQueue.size 2000, completeJobBatchDelay 0, failJobBatchDelay 0",
  batched(2_000)
)
