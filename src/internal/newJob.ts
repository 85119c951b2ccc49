/** What every storage refuses to write, so that none of them truncates or misorders it. */
import { StorageError } from "../JobError.js"
import type { NewJob } from "../JobStorage.js"

const int32 = (value: number, min: number): boolean => Number.isInteger(value) && value >= min && value <= 2_147_483_647

export const refusal = (jobs: ReadonlyArray<NewJob>): StorageError | undefined => {
  for (const job of jobs) {
    const due = "delay" in job.due ? job.due.delay : job.due.runAt
    const field = !int32(job.priority, -2_147_483_648)
      ? "priority"
      : !int32(job.maxAttempts, 1)
        ? "maxAttempts"
        : !Number.isFinite(due)
          ? "due"
          : undefined
    if (field !== undefined) {
      return new StorageError({
        operation: "insert",
        message: `insert: ${field} is not a number that fits`,
        isTransient: false
      })
    }
  }
  return undefined
}
