/** What a run of the bench writes down, and adds to when it is run again for other workloads. */
import { existsSync, readFileSync } from "node:fs"
import type { Peer } from "./peer.js"
import type { Measured, Metric } from "./workload.js"
import { summary, type Summary } from "./stats.js"

export type PeerResult = Pick<Peer, "name" | "store" | "settings" | "finishedRows" | "durability" | "against"> & {
  readonly runs: ReadonlyArray<Measured>
  readonly errors: ReadonlyArray<string>
  /** Why it was not asked. */
  readonly excluded?: string | undefined
}

export interface WorkloadResult {
  readonly name: string
  readonly title: string
  readonly about: string
  readonly sizes: string
  readonly metrics: ReadonlyArray<Metric>
  readonly peers: ReadonlyArray<PeerResult>
}

export interface Results {
  /** A line for the machine, one for each store, one for the packages. */
  readonly machine: Readonly<Record<string, string>>
  readonly workloads: ReadonlyArray<WorkloadResult>
}

export const summarize = (peer: PeerResult, metric: Metric): Summary | undefined =>
  summary(peer.runs.map(({ values }) => values[metric.key] ?? Number.NaN))

/** How many times better its dbjobq is: above 1 dbjobq is ahead. */
export const ratio = (result: WorkloadResult, peer: PeerResult, metric: Metric): number | undefined => {
  const own = result.peers.find(({ name }) => name === peer.against)
  if (own === undefined || own === peer) return undefined
  const ours = summarize(own, metric)?.median
  const theirs = summarize(peer, metric)?.median
  if (ours === undefined || theirs === undefined || ours === 0 || theirs === 0) return undefined
  return metric.better === "higher" ? ours / theirs : theirs / ours
}

export const read = (file: string): Results => {
  if (!existsSync(file)) return { machine: {}, workloads: [] }
  const results: Results = JSON.parse(readFileSync(file, "utf8"))
  return results
}
