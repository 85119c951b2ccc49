import * as Effect from "effect/Effect"
import type { Count, Filter, JobRow, Service, State } from "../../JobStorage.js"
import { queryAll } from "./client.js"
import { readControl } from "./control.js"
import { type Db, eachShard } from "./db.js"
import { number, text } from "./item.js"
import { idOf, jobKey, kindPartition, readyPartition, workIndex } from "./keys.js"
import type { Entry } from "./merge.js"
import { readAll } from "./records.js"
import { finishedStates, matches, within } from "../../internal/transitions.js"
import { byId } from "./work.js"

/** Whether an index entry can match at all: what it carries never changes. Tags and state are asked of the job. */
const mayMatch = (filter: Filter, { item }: Entry): boolean => {
  const enqueuedAt = number(item, "enqueuedAt") ?? 0
  return (
    within(filter.queues, text(item, "queue") ?? "") &&
    within(filter.names, text(item, "name") ?? "") &&
    (filter.from === undefined || enqueuedAt >= filter.from) &&
    (filter.until === undefined || enqueuedAt < filter.until)
  )
}

export const get =
  (db: Db): Service["get"] =>
  (ids) =>
    Effect.map(readAll(db, ids), (found) => Array.from(found.values()).flatMap((job) => (job.draft ? [] : [job.row])))

/** Index entries looked at in one go when a filter will pass over most of them. */
const pageOf = 1_000

/** Ids come from the index, rows from the table: what is listed is true, though a very new job may be missing. */
export const list =
  (db: Db): Service["list"] =>
  ({ after, filter, limit }) =>
    Effect.gen(function* () {
      yield* readControl(db)
      const narrow = (["states", "queues", "names", "tag", "from", "until"] as const).some(
        (member) => filter[member] !== undefined
      )
      const size = narrow ? pageOf : limit
      const sequence = byId(db, after === undefined ? undefined : jobKey(after).pk, size)
      const rows: Array<JobRow> = []
      while (rows.length < limit) {
        const entries = yield* sequence.take(size)
        if (entries.length === 0) break
        const ids = entries.filter((entry) => mayMatch(filter, entry)).map((entry) => idOf(entry.pk))
        const found = yield* readAll(db, ids)
        for (const id of ids) {
          const job = found.get(id)
          if (job !== undefined && !job.draft && matches(filter, job.row)) rows.push(job.row)
        }
      }
      return rows.slice(0, limit)
    })

/**
 * Counted in the index, as it is now: pending jobs by COUNT over the partitions of each pair, the others by reading the
 * queue of each entry. The cost grows with the number of jobs.
 */
export const counts = (db: Db): Service["counts"] =>
  Effect.gen(function* () {
    const { pairs } = yield* readControl(db)
    const tallies = new Map<string, { readonly queue: string; readonly state: State; count: number }>()
    const add = (queue: string, state: State, count: number): void => {
      if (count === 0) return
      const key = `${state} ${queue}`
      const tally = tallies.get(key) ?? { queue, state, count: 0 }
      tally.count += count
      tallies.set(key, tally)
    }
    const pending = pairs.flatMap((pair) =>
      eachShard(db, (shard) =>
        Effect.map(
          queryAll(db, { index: workIndex, hash: ["wk", readyPartition(pair, shard)], count: true }),
          (pages) =>
            add(
              pair.queue,
              "pending",
              pages.reduce((sum, page) => sum + page.count, 0)
            )
        )
      )
    )
    const others = (["scheduled", "running", ...finishedStates] as const).flatMap((state) =>
      eachShard(db, (shard) =>
        Effect.map(queryAll(db, { index: workIndex, hash: ["wk", kindPartition(state, shard)] }), (pages) => {
          for (const item of pages.flatMap((page) => page.items)) add(text(item, "queue") ?? "", state, 1)
        })
      )
    )
    yield* Effect.all([...pending, ...others], { concurrency: db.concurrency, discard: true })
    return Array.from(tallies.values(), (tally): Count => ({ ...tally }))
  })
