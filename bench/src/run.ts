/** Runs one workload for several peers: A B C A B C, each time in a place of its own. */
import type { Peer, Place } from "./peer.js"
import type { PeerResult, WorkloadResult } from "./results.js"
import { stores } from "./stores/index.js"
import type { Bench, Measured, Sizes, Workload } from "./workload.js"

export interface RunOptions {
  readonly peers: ReadonlyArray<Peer>
  readonly rounds: number
  readonly sizes: Sizes
  readonly log: (line: string) => void
}

const places = new Map<Place, Peer>()

const create = async (peer: Peer): Promise<Place> => {
  const place = await stores[peer.store].create()
  places.set(place, peer)
  return place
}

const destroy = async (place: Place): Promise<void> => {
  const peer = places.get(place)
  if (peer === undefined) return
  places.delete(place)
  await stores[peer.store].destroy(place)
}

/** Removes what an interrupted run leaves. */
export const destroyAll = async (): Promise<void> => {
  await Promise.all([...places.keys()].map(destroy))
}

const show = ({ values, cut }: Measured): string =>
  `${Object.entries(values)
    .map(([key, value]) => `${key} ${value >= 100 ? Math.round(value) : value.toFixed(2)}`)
    .join(", ")}${cut ? " (cut)" : ""}`

const bench = (peer: Peer, place: Place, sizes: Sizes): Bench => ({
  peer,
  store: stores[peer.store],
  place,
  sizes,
  fresh: async (use) => {
    const other = await create(peer)
    try {
      return await use(bench(peer, other, sizes))
    } finally {
      await destroy(other)
    }
  }
})

export const run = async (workload: Workload, { peers, rounds, sizes, log }: RunOptions): Promise<WorkloadResult> => {
  const runs = new Map<Peer, Array<Measured>>()
  const errors = new Map<Peer, Array<string>>()
  const kept = new Map<Peer, Place>()
  const excluded = (peer: Peer) => workload.excludes(peer, stores[peer.store])
  const attempt = async (peer: Peer, use: () => Promise<void>) => {
    try {
      await use()
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      errors.set(peer, [...(errors.get(peer) ?? []), message])
      log(`${workload.name} ${peer.name}: FAILED ${message}`)
    }
  }
  const spoilt = (peer: Peer) =>
    workload.prepare !== undefined && (errors.has(peer) || runs.get(peer)?.some(({ cut }) => cut === true))
  const asked = peers.filter((peer) => excluded(peer) === undefined)
  try {
    if (workload.prepare !== undefined) {
      for (const peer of asked) {
        const place = await create(peer)
        kept.set(peer, place)
        log(`${workload.name} ${peer.name}: filling`)
        await attempt(peer, async () => workload.prepare?.(bench(peer, place, sizes)))
      }
    }
    for (let round = 1; round <= rounds; round++) {
      for (const peer of asked) {
        // a shared place whose filling or last drain went wrong says nothing more
        if (spoilt(peer)) continue
        const place = kept.get(peer) ?? (await create(peer))
        await attempt(peer, async () => {
          const measured = await workload.measure(bench(peer, place, sizes))
          runs.set(peer, [...(runs.get(peer) ?? []), measured])
          log(`${workload.name} ${round}/${rounds} ${peer.name}: ${show(measured)}`)
        })
        if (!kept.has(peer)) await destroy(place)
      }
    }
  } finally {
    for (const place of kept.values()) await destroy(place)
  }
  const { name, title, about, metrics } = workload
  return {
    name,
    title,
    about,
    metrics,
    sizes: `${rounds} ${rounds === 1 ? "round" : "rounds"}, --jobs ${sizes.jobs}, --history ${sizes.history}`,
    peers: peers.map(
      (peer): PeerResult => ({
        name: peer.name,
        store: peer.store,
        settings: peer.settings,
        finishedRows: peer.finishedRows,
        durability: peer.durability,
        against: peer.against,
        runs: runs.get(peer) ?? [],
        errors: errors.get(peer) ?? [],
        excluded: excluded(peer)
      })
    )
  }
}
