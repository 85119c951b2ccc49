import { drain, drainMetrics } from "../drain.js"
import type { JobName } from "../peer.js"
import { spawn } from "../remote.js"
import { anyPeer, type Bench, otherProcesses, type Workload } from "../workload.js"

const fill = async (
  { peer, store, place }: Bench,
  name: JobName,
  count: number,
  rest: { mixedPriorities: boolean; delaySeconds: number; finish: boolean }
) => {
  const producer = await spawn(peer.name, place)
  try {
    const { mixedPriorities, delaySeconds } = rest
    await producer.call("addAll", { name, count, from: 0, mixedPriorities, delaySeconds })
    if (rest.finish) await producer.call("finishAll")
  } finally {
    await producer.close()
  }
  await store.settle?.(place)
}

/** A year: they stay scheduled whatever happens. */
const farAway = 31_536_000

const drained = (bench: Bench) => drain(bench, { concurrency: 10 })

export const empty: Workload = {
  name: "growth-empty",
  title: "Drain of an otherwise empty store",
  about: "What the other growth workloads are to be compared with.",
  metrics: drainMetrics,
  excludes: otherProcesses,
  measure: drained
}

export const finished: Workload = {
  name: "growth-finished",
  title: "Drain beside a million finished jobs",
  about: "The jobs drained have a history of a million finished rows under the same name (--history).",
  metrics: drainMetrics,
  excludes: (peer) => {
    if (peer.finishedRows === "deleted") return "deletes finished jobs"
    return peer.store === "sqlite" || peer.store === "postgres" ? undefined : "history can only be made in SQL"
  },
  prepare: (bench) =>
    fill(bench, "bench", bench.sizes.history, { mixedPriorities: false, delaySeconds: 0, finish: true }),
  measure: drained
}

export const pending: Workload = {
  name: "growth-pending",
  title: "Drain beside half a million pending jobs of another name",
  about: "They are due and older, but no worker running knows their name.",
  metrics: drainMetrics,
  excludes: otherProcesses,
  prepare: (bench) =>
    fill(bench, "other", bench.sizes.history / 2, { mixedPriorities: false, delaySeconds: 0, finish: false }),
  measure: drained
}

export const scheduled: Workload = {
  name: "growth-scheduled",
  title: "Drain beside half a million scheduled jobs",
  about: "They are due in a year, under another name, at ten priorities.",
  metrics: drainMetrics,
  excludes: otherProcesses,
  prepare: (bench) =>
    fill(bench, "other", bench.sizes.history / 2, { mixedPriorities: true, delaySeconds: farAway, finish: false }),
  measure: drained
}

export const snapshot: Workload = {
  name: "growth-snapshot",
  title: "Drain while another session holds an old snapshot",
  about: "Nothing the drain leaves behind can be cleaned up: dead rows in PostgreSQL, the write-ahead log in SQLite.",
  metrics: drainMetrics,
  excludes: (_, store) => (store.holdSnapshot === undefined ? "the store has no snapshots" : anyPeer()),
  measure: (bench) =>
    drain(bench, {
      concurrency: 10,
      meanwhile: () => bench.store.holdSnapshot?.(bench.place) ?? Promise.resolve(async () => {})
    })
}
