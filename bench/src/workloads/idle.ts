import { sleep } from "../clock.js"
import { spawn } from "../remote.js"
import { otherProcesses, type Workload } from "../workload.js"

/** Long enough for a poll interval that grows to have grown. */
const settleMs = 15_000

export const idle: Workload = {
  name: "idle",
  title: "Cost of an idle worker",
  about:
    "A worker with nothing to do, watched after it had 15 s to calm down: statements (SQL) or commands (Redis) it sends, counted on the wire or at the SQLite driver, and the CPU of its process.",
  metrics: [
    { key: "statements", title: "statements/s", better: "lower" },
    { key: "cpu", title: "CPU %", better: "lower" }
  ],
  excludes: otherProcesses,
  measure: async ({ peer, store, place, sizes }) => {
    const counted = await store.counted?.(place)
    const worker = await spawn(peer.name, counted?.place ?? place, true)
    try {
      await worker.call("work", { concurrency: 10, target: 0, failEvery: 0, tellStarts: false })
      await sleep(settleMs)
      const look = async () => ({
        statements: counted?.statements() ?? (await worker.call("statements")) ?? Number.NaN,
        cpuMs: (await worker.call("usage")).cpuMs
      })
      const before = await look()
      await sleep(sizes.idle * 1_000)
      const after = await look()
      return {
        values: {
          statements: (after.statements - before.statements) / sizes.idle,
          cpu: (after.cpuMs - before.cpuMs) / (sizes.idle * 10)
        }
      }
    } finally {
      await worker.close()
      await counted?.close()
    }
  }
}
