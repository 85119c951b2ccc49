/** BullMQ on Redis. */
import { chunks, lanes, orThrow, type Payload, type Peer, priorityOf, retryDelay } from "../peer.js"

export const bullmq: Peer = {
  name: "bullmq",
  store: "redis",
  settings: "defaults; addBulk by 1,000",
  finishedRows: "kept",
  durability: "as the Redis server has it",
  priorities: true,
  retries: true,
  against: "dbjobq-redis",
  open: async (place) => {
    const { Queue, Worker } = await import("bullmq")
    const { hostname, port } = new URL(place.url)
    const options = { connection: { host: hostname, port: Number(port || 6379) }, prefix: place.prefix }
    const defaultJobOptions = { attempts: 4, backoff: { type: "fixed", delay: retryDelay } }
    const queues = {
      bench: new Queue<Payload>("bench", { ...options, defaultJobOptions }),
      other: new Queue<Payload>("other", { ...options, defaultJobOptions })
    }
    await Promise.all([queues.bench.waitUntilReady(), queues.other.waitUntilReady()])
    const unfinished = async () => {
      const counts = await queues.bench.getJobCounts("wait", "active", "prioritized", "delayed")
      return Object.values(counts).reduce((sum, count) => sum + count, 0)
    }
    return {
      addEach: (payloads, inFlight) => lanes(payloads, inFlight, (payload) => queues.bench.add("bench", payload)),
      addAll: async (batch) => {
        for (const part of chunks(batch.payloads, 1_000)) {
          await queues[batch.name].addBulk(
            part.map((data) => ({
              name: "bench",
              data,
              opts: {
                // 1 is its highest; 0 means none
                ...(batch.mixedPriorities ? { priority: 10 - priorityOf(batch, data) } : {}),
                ...(batch.delaySeconds > 0 ? { delay: batch.delaySeconds * 1_000 } : {})
              }
            }))
          )
        }
      },
      work: async ({ concurrency, handler }) => {
        const worker = new Worker<Payload>("bench", async ({ data }) => orThrow(handler(data.n)), {
          ...options,
          concurrency
        })
        worker.on("error", () => {})
        await worker.waitUntilReady()
        return () => worker.close()
      },
      isEmpty: async () => (await unfinished()) === 0,
      tally: async () => ({
        completed: await queues.bench.getCompletedCount(),
        failed: await queues.bench.getFailedCount(),
        unfinished: await unfinished()
      }),
      close: async () => {
        await Promise.all([queues.bench.close(), queues.other.close()])
      }
    }
  }
}
