import { now, sleep } from "../clock.js"
import { spawn } from "../remote.js"
import { percentile } from "../stats.js"
import { verifyAll } from "../verify.js"
import { otherProcesses, type Workload } from "../workload.js"

const settleMs = 2_000
const warmUp = 5
const patienceMs = 30_000

/** Between two jobs, so that the worker is idle again and no timer of a peer falls in step. */
const pause = () => sleep(20 + Math.random() * 80)

export const latency: Workload = {
  name: "latency",
  title: "Latency of an idle worker",
  about:
    "One job at a time, enqueued by another process: from the enqueue call to the handler's first line. The enqueue's own commit is part of it.",
  metrics: [
    { key: "p50", title: "p50 ms", better: "lower", charted: true },
    { key: "p95", title: "p95 ms", better: "lower" },
    { key: "p99", title: "p99 ms", better: "lower", charted: true }
  ],
  excludes: otherProcesses,
  measure: async ({ peer, place, sizes }) => {
    const producer = await spawn(peer.name, place)
    const worker = await spawn(peer.name, place)
    try {
      await worker.call("work", { concurrency: 10, target: 0, failEvery: 0, tellStarts: true })
      await sleep(settleMs)
      const times: Array<number> = []
      const deadline = now() + sizes.limit * 1_000
      let sent = 0
      for (let n = 0; n < sizes.samples + warmUp && now() < deadline; n++) {
        sent++
        const started = worker.startOf(n)
        const { at } = await producer.call("add", { n })
        const entered = await Promise.race([started, sleep(patienceMs).then(() => undefined)])
        if (entered === undefined) throw new Error(`${peer.name}: a job did not start within ${patienceMs / 1e3} s`)
        if (n >= warmUp) times.push(entered - at)
        await pause()
      }
      await verifyAll(peer.name, sent, producer)
      return {
        cut: times.length < sizes.samples,
        values: {
          p50: percentile(times, 0.5),
          p95: percentile(times, 0.95),
          p99: percentile(times, 0.99),
          samples: times.length
        }
      }
    } finally {
      await Promise.all([producer.close(), worker.close()])
    }
  }
}
