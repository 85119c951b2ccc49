/** dbjobq without batches, as a queue with one statement and one commit for each job. */
import type { JobStorage } from "dbjobq"
import { Effect } from "effect"

/** As many at once as workers with a connection each would send. */
const atOnce = { concurrency: 10 } as const

/** Each outcome is recorded by a statement and a commit of its own. */
export const settleOneByOne = ({ settle, ...rest }: JobStorage.Service): JobStorage.Service => ({
  ...rest,
  settle: (outcomes) =>
    Effect.map(
      Effect.forEach(outcomes, (outcome) => settle([outcome]), atOnce),
      (accepted) => accepted.flat()
    )
})

/** And each job is claimed by one. */
export const oneByOne = (storage: JobStorage.Service): JobStorage.Service => {
  const { claim, ...rest } = settleOneByOne(storage)
  return {
    ...rest,
    claim: (request) =>
      Effect.map(
        Effect.forEach(Array.from({ length: request.limit }), () => claim({ ...request, limit: 1 }), atOnce),
        (claimed) => claimed.flat()
      )
  }
}
