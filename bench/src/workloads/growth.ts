import { type Drained, drain } from "../drain.js"
import type { JobName } from "../peer.js"
import { spawn } from "../remote.js"
import { type Bench, type Measured, type Metric, otherProcesses, rate, type Workload } from "../workload.js"

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

/** Times the snapshot's own drain is drained before it, for dead rows to pile up in front of what is measured. */
const churn = 3

const metrics: ReadonlyArray<Metric> = [
  rate,
  { key: "empty", title: "jobs/s on an empty store", better: "higher" },
  { key: "share", title: "% of empty", better: "higher" }
]

const drained = (bench: Bench): Promise<Drained> => drain(bench, { concurrency: 10 })

/** Measured beside a drain of an empty store a moment before, as machines are not the same from one minute to the next. */
const besideEmpty = async (bench: Bench, loaded: (bench: Bench) => Promise<Drained>): Promise<Measured> => {
  const empty = await bench.fresh(drained)
  const full = await loaded(bench)
  const rates = { rate: full.values.rate, empty: empty.values.rate }
  return {
    cut: empty.cut || full.cut,
    values: { ...rates, share: (rates.rate / rates.empty) * 100 }
  }
}

const growth = (workload: Pick<Workload, "name" | "title" | "about" | "excludes" | "prepare">): Workload => ({
  metrics,
  measure: (bench) => besideEmpty(bench, drained),
  ...workload
})

export const finished = growth({
  name: "growth-finished",
  title: "Drain beside a million finished jobs",
  about: "The jobs drained have a history of a million finished rows under the same name (--history).",
  excludes: (peer) => {
    if (peer.finishedRows === "deleted") return "deletes finished jobs"
    return ["sqlite", "postgres", "mysql"].includes(peer.store) ? undefined : "history can only be made in SQL"
  },
  prepare: (bench) =>
    fill(bench, "bench", bench.sizes.history, { mixedPriorities: false, delaySeconds: 0, finish: true })
})

export const pending = growth({
  name: "growth-pending",
  title: "Drain beside 500,000 jobs of another name",
  about: "Half as many pending jobs as --history: due and older, but no worker running knows their name.",
  excludes: otherProcesses,
  prepare: (bench) =>
    fill(bench, "other", bench.sizes.history / 2, { mixedPriorities: false, delaySeconds: 0, finish: false })
})

export const scheduled = growth({
  name: "growth-scheduled",
  title: "Drain beside 500,000 scheduled jobs",
  about: "Half as many as --history, due in a year under another name, at ten priorities.",
  excludes: otherProcesses,
  prepare: (bench) =>
    fill(bench, "other", bench.sizes.history / 2, { mixedPriorities: true, delaySeconds: farAway, finish: false })
})

export const snapshot: Workload = {
  ...growth({
    name: "growth-snapshot",
    title: "Drain under another session's old snapshot",
    about: `The snapshot is older than a drain of ${churn} times as many jobs just before. Nothing it left can be cleaned up: dead rows in PostgreSQL, old versions in InnoDB, the write-ahead log in SQLite.`,
    excludes: (_, store) => (store.holdSnapshot === undefined ? "the store has no snapshots" : undefined)
  }),
  measure: (bench) =>
    besideEmpty(bench, async ({ sizes, ...rest }) => {
      // the tables first: nothing can be set up under a snapshot
      await fill(bench, "bench", 0, { mixedPriorities: false, delaySeconds: 0, finish: false })
      const release = await bench.store.holdSnapshot?.(bench.place)
      try {
        await drained({ ...rest, sizes: { ...sizes, jobs: sizes.jobs * churn, limit: sizes.limit * churn } })
        return await drained(bench)
      } finally {
        await release?.()
      }
    })
}
