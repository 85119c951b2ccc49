/** Whether a workload that sends jobs one at a time lost none. */
import { now, sleep } from "./clock.js"
import type { Remote } from "./remote.js"

const patienceMs = 10_000

/** Waits for the last to be recorded, then asks the store. */
export const verifyAll = async (peer: string, jobs: number, producer: Remote): Promise<void> => {
  const deadline = now() + patienceMs
  while (!(await producer.call("isEmpty")) && now() < deadline) await sleep(20)
  const { completed = jobs, failed, unfinished } = await producer.call("tally")
  if (completed !== jobs || failed !== 0 || unfinished !== 0) {
    throw new Error(`${peer}: of ${jobs} jobs ${completed} completed, ${failed} failed, ${unfinished} unfinished`)
  }
}
