/** Drains a queue with one or more workers and checks what is left. */
import { now, sleep } from "./clock.js"
import type { Tally } from "./peer.js"
import { type Remote, spawn } from "./remote.js"
import type { Bench, Measured } from "./workload.js"

export interface DrainOptions {
  readonly concurrency: number
  readonly processes?: number
  readonly mixedPriorities?: boolean
  /** Every so many-th job fails once. */
  readonly failEvery?: number
}

export interface Drained extends Measured {
  readonly values: { readonly rate: number; readonly [name: string]: number }
  readonly cut: boolean
  readonly peakRss: number
}

const verify = (peer: string, jobs: number, attempts: number, before: Tally, after: Tally, workers: number) => {
  const completed = after.completed === undefined ? jobs : after.completed - (before.completed ?? 0)
  if (after.unfinished !== 0 || after.failed !== 0 || completed !== jobs || workers !== attempts) {
    throw new Error(
      `${peer}: of ${jobs} jobs ${completed} completed, ${after.failed} failed, ${after.unfinished} unfinished; ${workers} attempts for ${attempts}`
    )
  }
}

const until = async (done: () => boolean, workers: ReadonlyArray<Remote>, deadline: number): Promise<boolean> => {
  while (!done()) {
    const left = deadline - now()
    if (left <= 0) return false
    await Promise.race([sleep(left), ...workers.map((worker) => worker.news())])
  }
  return true
}

const untilEmpty = async (producer: Remote, deadline: number): Promise<number | undefined> => {
  for (;;) {
    // the moment of asking: a slow answer is not the queue's time
    const asked = now()
    if (await producer.call("isEmpty")) return asked
    if (asked > deadline) return undefined
    await sleep(2)
  }
}

export const drain = async ({ peer, place, sizes }: Bench, options: DrainOptions): Promise<Drained> => {
  const { jobs } = sizes
  const { concurrency, processes = 1, mixedPriorities = false, failEvery = 0 } = options
  const attempts = jobs + (failEvery > 0 ? Math.ceil(jobs / failEvery) : 0)
  const producer = await spawn(peer.name, place)
  const workers = peer.store === "memory" ? [producer] : []
  try {
    await producer.call("addAll", { name: "bench", count: jobs, from: 0, mixedPriorities, delaySeconds: 0 })
    const before = await producer.call("tally")
    while (workers.length < processes) workers.push(await spawn(peer.name, place))
    const attempted = () => workers.reduce((sum, worker) => sum + worker.handled().count, 0)
    const begun = () => workers.reduce((sum, worker) => sum + worker.handled().jobs, 0)
    const cpu = async () =>
      (await Promise.all(workers.map((worker) => worker.call("usage")))).reduce((sum, { cpuMs }) => sum + cpuMs, 0)

    const cpuBefore = await cpu()
    const request = { concurrency, target: jobs, failEvery, tellStarts: false }
    const start = Math.min(
      ...(await Promise.all(workers.map((worker) => worker.call("work", request)))).map(({ at }) => at)
    )
    const deadline = start + sizes.limit * 1_000
    const firstPass = await until(() => begun() >= jobs, workers, deadline)
    const firstPassEnd = firstPass ? Math.max(...workers.map((worker) => worker.handled().lastJobAt)) : now()
    const emptied = firstPass ? await untilEmpty(producer, deadline) : undefined
    const stopped = emptied ?? now()
    const after = await producer.call("tally")
    // a worker that never yields cannot tell how far it came: the rows can
    const count = after.completed === undefined ? jobs - after.unfinished : after.completed - (before.completed ?? 0)
    const first = Math.min(
      ...workers.filter((worker) => worker.handled().count > 0).map((worker) => worker.handled().firstAt)
    )
    if (emptied !== undefined) {
      await until(() => attempted() >= attempts, workers, now() + 100)
      verify(peer.name, jobs, attempts, before, after, attempted())
    }
    const cut = emptied === undefined
    return {
      cut,
      values: {
        rate: (cut ? count : jobs) / ((stopped - start) / 1e3),
        steady: Number.isFinite(first) ? (cut ? count : jobs) / ((stopped - first) / 1e3) : Number.NaN,
        firstPass: (firstPass ? jobs : count) / ((firstPassEnd - start) / 1e3),
        seconds: (stopped - start) / 1e3,
        cpu: cut ? Number.NaN : (((await cpu()) - cpuBefore) * 1e3) / jobs
      },
      peakRss: Math.max(...workers.map((worker) => worker.peakRss()))
    }
  } finally {
    await Promise.all([...new Set([producer, ...workers])].map((remote) => remote.close()))
  }
}

export const drainMetrics = [
  { key: "rate", title: "jobs/s", better: "higher", charted: true },
  { key: "steady", title: "jobs/s from the first job on", better: "higher" },
  { key: "cpu", title: "worker CPU µs/job", better: "lower" }
] as const
