/** What belongs together in one run, by name. */
import type { Selection } from "./chart.js"

export interface Part {
  readonly workloads: ReadonlyArray<string>
  readonly peers: ReadonlyArray<string>
  /** Where more would cost time and tell nothing. */
  readonly rounds?: number
}

export interface BenchSet {
  readonly name: string
  readonly parts: ReadonlyArray<Part>
  readonly chart: Selection
}

const batched = ["graphile-2000", "graphile-500", "pgboss"]
const own = ["dbjobq-pg", "dbjobq-sqlite", "dbjobq-mysql", "dbjobq-redis"]
const raw = ["raw-pg", "raw-sqlite", "raw-mysql", "raw-redis"]
const full = ["dbjobq-sqlite-full", "plainjob-full"]
/** Each queue once, at its best setting. */
const queues = [...own, "graphile-500", "pgboss", "plainjob", "bullmq"]

/** What README and docs/performance.md show. */
const readme: BenchSet = {
  name: "readme",
  parts: [
    {
      workloads: ["drain-10"],
      peers: [
        ...queues,
        ...batched,
        ...raw,
        ...full,
        "graphile-default",
        "dbjobq-pg-settle-1",
        "dbjobq-pg-single",
        "dbjobq-memory"
      ]
    },
    { workloads: ["drain-50"], peers: queues },
    { workloads: ["two-processes"], peers: [...queues, ...batched, ...raw] },
    { workloads: ["enqueue", "bulk"], peers: [...queues, ...raw, ...full, "dbjobq-memory"] },
    { workloads: ["latency"], peers: [...queues, ...raw, "graphile-default"] },
    { workloads: ["priorities", "failing", "memory"], peers: queues },
    {
      workloads: ["growth-finished", "growth-pending", "growth-scheduled", "growth-snapshot"],
      peers: ["dbjobq-pg", "graphile-500", "pgboss", "raw-pg", "dbjobq-sqlite", "plainjob", "raw-sqlite"]
    },
    { workloads: ["idle", "herd"], peers: queues, rounds: 2 }
  ],
  chart: {
    metrics: ["drain-10.rate", "latency.p50", "enqueue.ten", "bulk.rate"],
    peers: [...queues, ...batched]
  }
}

export const sets: ReadonlyArray<BenchSet> = [readme]
