import { drain, drainMetrics } from "../drain.js"
import { retryDelay } from "../peer.js"
import { anyPeer, otherProcesses, type Workload } from "../workload.js"

const at = (concurrency: number): Workload => ({
  name: `drain-${concurrency}`,
  title: `Drain, ${concurrency} at a time`,
  about:
    "Jobs that do nothing are waiting; one worker process starts. From its start until the store has no unfinished job.",
  metrics: drainMetrics,
  excludes: anyPeer,
  measure: (bench) => drain(bench, { concurrency })
})

export const drain10 = at(10)
export const drain50 = at(50)

export const twoProcesses: Workload = {
  name: "two-processes",
  title: "Drain, two worker processes",
  about: "The same with two worker processes, 10 at a time each, started together. No job may run twice.",
  metrics: drainMetrics,
  excludes: otherProcesses,
  measure: (bench) => drain(bench, { concurrency: 10, processes: 2 })
}

export const priorities: Workload = {
  name: "priorities",
  title: "Drain of mixed priorities, 10 at a time",
  about: "The same with ten priorities, interleaved in enqueue order.",
  metrics: drainMetrics,
  excludes: (peer) => (peer.priorities ? undefined : "has no priorities"),
  measure: (bench) => drain(bench, { concurrency: 10, mixedPriorities: true })
}

export const failing: Workload = {
  name: "failing",
  title: "Every tenth job fails once, 10 at a time",
  about:
    "Failed jobs are retried about 2.7 s later (graphile-worker's fixed first delay; pg-boss takes whole seconds: 3). Rate of the first pass, and seconds until all are done.",
  metrics: [
    { key: "firstPass", title: "first attempts/s", better: "higher", charted: true },
    { key: "seconds", title: "s until all done", better: "lower" }
  ],
  excludes: (peer) => (peer.retries ? undefined : "has no retries"),
  measure: async (bench) => {
    const drained = await drain(bench, { concurrency: 10, failEvery: 10 })
    const { seconds = 0 } = drained.values
    if (!drained.cut && seconds * 1e3 < retryDelay) {
      throw new Error(`${bench.peer.name}: all done after ${seconds.toFixed(1)} s, so retries came before their time`)
    }
    return drained
  }
}

export const memory: Workload = {
  name: "memory",
  title: "Memory of the worker process",
  about:
    "Peak resident memory of a worker process that drains five times the jobs of a drain, enqueued by another process.",
  metrics: [
    { key: "peak", title: "peak MB", better: "lower", charted: true },
    { key: "rate", title: "jobs/s", better: "higher" }
  ],
  excludes: otherProcesses,
  measure: async (bench) => {
    const sizes = { ...bench.sizes, jobs: bench.sizes.jobs * 5, limit: bench.sizes.limit * 5 }
    const { cut, values, peakRss } = await drain({ ...bench, sizes }, { concurrency: 10 })
    return { cut, values: { ...values, peak: peakRss } }
  }
}
