import { type Remote, spawn } from "../remote.js"
import { anyPeer, type Bench, type Measured, type Workload } from "../workload.js"

const ms = 1_500
const warmUpMs = 300
const bulkJobs = 10_000

const withProducer = async (
  { peer, place }: Bench,
  use: (producer: Remote) => Promise<Measured & { count: number }>
) => {
  const producer = await spawn(peer.name, place)
  try {
    const { count, values } = await use(producer)
    const { unfinished } = await producer.call("tally")
    if (unfinished !== count) throw new Error(`${peer.name}: ${count} enqueued, ${unfinished} found`)
    return { values }
  } finally {
    await producer.close()
  }
}

export const enqueue: Workload = {
  name: "enqueue",
  title: "Enqueue",
  about:
    "Single enqueues by one process, each acknowledged on its own: the next sent when the last is stored, and with ten in flight.",
  metrics: [
    { key: "one", title: "one by one, jobs/s", better: "higher", charted: true },
    { key: "ten", title: "10 in flight, jobs/s", better: "higher", charted: true }
  ],
  excludes: anyPeer,
  measure: (bench) =>
    withProducer(bench, async (producer) => {
      let count = 0
      const run = async (inFlight: number) => {
        count += (await producer.call("addFor", { ms: warmUpMs, inFlight, from: count })).count
        const timed = await producer.call("addFor", { ms, inFlight, from: count })
        count += timed.count
        return timed.count / (timed.ms / 1e3)
      }
      const one = await run(1)
      const ten = await run(10)
      return { count, values: { one, ten } }
    })
}

export const bulk: Workload = {
  name: "bulk",
  title: "Enqueue 10,000 at once",
  about: "The second of two calls of the peer's bulk enqueue with 10,000 jobs each, split as the peer recommends.",
  metrics: [{ key: "rate", title: "jobs/s", better: "higher", charted: true }],
  excludes: anyPeer,
  measure: (bench) =>
    withProducer(bench, async (producer) => {
      const add = (from: number) =>
        producer.call("addAll", { name: "bench", count: bulkJobs, from, mixedPriorities: false, delaySeconds: 0 })
      await add(0)
      const timed = await add(bulkJobs)
      return { count: 2 * bulkJobs, values: { rate: bulkJobs / (timed.ms / 1e3) } }
    })
}
