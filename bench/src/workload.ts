/** What is measured. One file in `workloads/` each. */
import type { Peer, Place } from "./peer.js"
import type { Store } from "./stores/store.js"

export interface Sizes {
  /** Jobs of a drain. */
  readonly jobs: number
  /** Finished rows of the growth workloads; half as many pending and scheduled ones. */
  readonly history: number
  /** Seconds after which a drain or a latency run is cut. */
  readonly limit: number
  /** Seconds an idle worker is watched. */
  readonly idle: number
  /** Jobs sent to measure latency. */
  readonly samples: number
}

export interface Bench {
  readonly peer: Peer
  readonly store: Store
  readonly place: Place
  readonly sizes: Sizes
  /** The same in another place, empty and of its own. */
  readonly fresh: <A>(use: (bench: Bench) => Promise<A>) => Promise<A>
}

export interface Metric {
  readonly key: string
  readonly title: string
  readonly better: "higher" | "lower"
  /** Whether the chart shows it. */
  readonly charted?: boolean
}

export interface Measured {
  readonly values: Readonly<Record<string, number>>
  /** It was stopped before the end, and the values tell of the part that was done. */
  readonly cut?: boolean
}

export interface Workload {
  readonly name: string
  readonly title: string
  readonly about: string
  readonly metrics: ReadonlyArray<Metric>
  /** Why a peer cannot be asked this. */
  readonly excludes: (peer: Peer, store: Store) => string | undefined
  /** Fills a place once, which all rounds of a peer then share. Without it, each round has a fresh place. */
  readonly prepare?: (bench: Bench) => Promise<void>
  readonly measure: (bench: Bench) => Promise<Measured>
}

export const rate: Metric = { key: "rate", title: "jobs/s", better: "higher", charted: true }

export const anyPeer = () => undefined

export const otherProcesses = (peer: Peer) =>
  peer.store === "memory" ? "memory is not shared by processes" : undefined
