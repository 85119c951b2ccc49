import { now, sleep } from "../clock.js"
import { spawn } from "../remote.js"
import { median } from "../stats.js"
import { verifyAll } from "../verify.js"
import { otherProcesses, type Workload } from "../workload.js"

const processes = 20
const jobs = 5
/** Long enough for a poll interval that grows to have grown. */
const settleMs = 15_000
/** Between two jobs, likewise. */
const calmMs = 8_000
const windowMs = 1_000
const patienceMs = 30_000

const sum = (numbers: ReadonlyArray<number | undefined>) =>
  numbers.reduce((total: number, one) => total + (one ?? Number.NaN), 0)

export const herd: Workload = {
  name: "herd",
  title: "One job for twenty idle worker processes",
  about: `${jobs} jobs, ${calmMs / 1e3} s apart. What the twenty ask of the store from a job's enqueue to ${windowMs / 1e3} s after its start, less what they ask without one in that time, as just before. Claims are dbjobq's calls of its storage; the other queues cannot be asked.`,
  metrics: [
    { key: "claims", title: "claims a job", better: "lower" },
    { key: "statements", title: "statements a job", better: "lower" },
    { key: "start", title: "ms to its start", better: "lower" }
  ],
  excludes: otherProcesses,
  measure: async ({ peer, store, place }) => {
    const counted = await store.counted?.(place)
    const producer = await spawn(peer.name, place)
    const workers = await Promise.all(
      Array.from({ length: processes }, () => spawn(peer.name, counted?.place ?? place, true))
    )
    try {
      const request = { concurrency: 10, target: 0, failEvery: 0, tellStarts: true }
      for (const worker of workers) await worker.call("work", request)
      await sleep(settleMs)
      const look = async () => ({
        at: now(),
        claims: sum(await Promise.all(workers.map((worker) => worker.call("claims")))),
        statements: counted?.statements() ?? sum(await Promise.all(workers.map((worker) => worker.call("statements"))))
      })
      const extra = { claims: 0, statements: 0 }
      const starts: Array<number> = []
      for (let n = 0; n < jobs; n++) {
        await sleep(calmMs)
        const quiet = await look()
        await sleep(windowMs)
        const before = await look()
        const started = Promise.race(workers.map((worker) => worker.startOf(n)))
        const { at } = await producer.call("add", { n })
        const entered = await Promise.race([started, sleep(patienceMs).then(() => undefined)])
        if (entered === undefined) throw new Error(`${peer.name}: a job did not start within ${patienceMs / 1e3} s`)
        starts.push(entered - at)
        await sleep(windowMs)
        const after = await look()
        const windows = (after.at - before.at) / (before.at - quiet.at)
        for (const key of ["claims", "statements"] as const) {
          extra[key] += after[key] - before[key] - windows * (before[key] - quiet[key])
        }
      }
      await verifyAll(peer.name, jobs, producer)
      return {
        values: { claims: extra.claims / jobs, statements: extra.statements / jobs, start: median(starts) }
      }
    } finally {
      await Promise.all([producer, ...workers].map((remote) => remote.close()))
      await counted?.close()
    }
  }
}
