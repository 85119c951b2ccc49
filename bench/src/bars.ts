/** What dbjobq has set itself to reach, beside what was measured. */
import { type Results, summarize } from "./results.js"
import { readable } from "./stats.js"

interface Where {
  readonly workload: string
  readonly metric: string
  readonly peer: string
}

interface Bar extends Where {
  readonly title: string
  /** How many times better than the best of these. */
  readonly than?: ReadonlyArray<string>
  readonly times?: number
  readonly atMost?: number
  readonly atLeast?: number
}

const pg = "dbjobq-pg"
const sqlite = "dbjobq-sqlite"
const mysql = "dbjobq-mysql"
const redis = "dbjobq-redis"
const all = [pg, sqlite, mysql, redis]
const onPg = ["graphile-2000", "graphile-500", "graphile-default", "pgboss"]

const times = (
  title: string,
  workload: string,
  metric: string,
  peer: string,
  than: ReadonlyArray<string>,
  factor: number
): Bar => ({ title, workload, metric, peer, than, times: factor })

const growth = (name: string, title: string, peers: ReadonlyArray<string>) =>
  peers.map(
    (peer): Bar => ({
      title: `${title}, % of its empty store`,
      workload: `growth-${name}`,
      metric: "share",
      peer,
      atLeast: 90
    })
  )

const each = (
  title: string,
  workload: string,
  metric: string,
  atMost: number,
  peers: ReadonlyArray<string>
): ReadonlyArray<Bar> => peers.map((peer) => ({ title, workload, metric, peer, atMost }))

const bars: ReadonlyArray<Bar> = [
  times("drain, jobs/s", "drain-10", "rate", pg, ["graphile-500"], 1.4),
  times("drain, jobs/s", "drain-10", "rate", pg, ["graphile-2000"], 1.05),
  times("drain, jobs/s", "drain-10", "rate", pg, ["pgboss"], 1.6),
  times("drain settling each job alone, jobs/s", "drain-10", "rate", "dbjobq-pg-settle-1", ["graphile-default"], 1.1),
  times("drain, jobs/s", "drain-10", "rate", sqlite, ["plainjob"], 4),
  times("drain, jobs/s", "drain-10", "rate", redis, ["bullmq"], 1.5),
  times("drain, jobs/s", "drain-10", "rate", mysql, [pg], 0.5),
  times("two processes, jobs/s", "two-processes", "rate", pg, onPg, 1.2),
  times("enqueue one by one, jobs/s", "enqueue", "one", pg, ["graphile-500"], 1),
  times("enqueue 10 in flight, jobs/s", "enqueue", "ten", pg, ["graphile-500"], 6),
  times("enqueue one by one, jobs/s", "enqueue", "one", sqlite, ["plainjob"], 0.5),
  times("enqueue 10 in flight, jobs/s", "enqueue", "ten", sqlite, ["plainjob"], 1.5),
  times("enqueue one by one, jobs/s", "enqueue", "one", redis, ["bullmq"], 1),
  times("enqueue 10,000 at once, jobs/s", "bulk", "rate", pg, ["graphile-500"], 1),
  times("enqueue 10,000 at once, jobs/s", "bulk", "rate", sqlite, ["plainjob"], 0.5),
  times("enqueue 10,000 at once, jobs/s", "bulk", "rate", redis, ["bullmq"], 2),
  times("latency p50, ms", "latency", "p50", pg, onPg, 1),
  times("latency p99, ms", "latency", "p99", pg, onPg, 1),
  ...each("latency p50, ms", "latency", "p50", 20, [sqlite]),
  ...each("latency p95, ms", "latency", "p95", 50, [pg, redis]),
  ...each("idle, CPU %", "idle", "cpu", 1, [sqlite]),
  ...each("idle, statements/s", "idle", "statements", 2, all),
  ...each("claims for one job at 20 idle workers", "herd", "claims", 3, all),
  ...each("peak memory over 100,000 jobs, MB", "memory", "peak", 150, all),
  ...growth("finished", "drain beside finished jobs", [pg, sqlite]),
  ...growth("pending", "drain beside pending jobs of another name", [pg, sqlite]),
  ...growth("scheduled", "drain beside scheduled jobs", [pg, sqlite]),
  ...growth("snapshot", "drain under an old snapshot", [pg, sqlite])
]

const row = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`

/** Undefined where the results say nothing about it. */
const judged = ({ workloads }: Results, bar: Bar): ReadonlyArray<string> | undefined => {
  const workload = workloads.find(({ name }) => name === bar.workload)
  const metric = workload?.metrics.find(({ key }) => key === bar.metric)
  if (workload === undefined || metric === undefined) return undefined
  const medianOf = (name: string): number | undefined => {
    const peer = workload.peers.find((one) => one.name === name)
    return peer === undefined ? undefined : summarize(peer, metric)?.median
  }
  const ours = medianOf(bar.peer)
  if (ours === undefined) return undefined
  const told = (asked: string, measured: string, met: boolean) => [
    bar.title,
    bar.peer,
    asked,
    measured,
    met ? "yes" : "no"
  ]
  if (bar.atMost !== undefined) return told(`≤ ${bar.atMost}`, readable(ours), ours <= bar.atMost)
  if (bar.atLeast !== undefined) return told(`≥ ${bar.atLeast}`, readable(ours), ours >= bar.atLeast)
  const higher = metric.better === "higher"
  const best = (bar.than ?? [])
    .flatMap((name) => {
      const median = medianOf(name)
      return median === undefined ? [] : [{ name, median }]
    })
    .sort((a, b) => (higher ? b.median - a.median : a.median - b.median))[0]
  if (best === undefined || bar.times === undefined) return undefined
  const ratio = higher ? ours / best.median : best.median / ours
  return told(`≥ ${bar.times}× ${best.name}`, `${ratio.toFixed(2)}×`, ratio >= bar.times)
}

export const barsTable = (results: Results): string => {
  const rows = bars.flatMap((bar) => {
    const found = judged(results, bar)
    return found === undefined ? [] : [row(found)]
  })
  return rows.length === 0
    ? "Nothing measured that a bar is about."
    : [row(["bar", "peer", "asked", "measured", "met"]), row(["---", "---", "---", "---:", "---"]), ...rows].join("\n")
}
