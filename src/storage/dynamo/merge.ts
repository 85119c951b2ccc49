/** Several index partitions read as one sequence in their common order, page by page and only as far as asked. */
import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import { type Item, query } from "./client.js"
import type { Db } from "./db.js"
import { text } from "./item.js"

export interface Entry {
  /** The base item's keys. */
  readonly pk: string
  readonly sk: string
  /** The sort key in the index. */
  readonly order: string
}

export interface Source {
  readonly index: string
  readonly hash: string
  readonly range: string
  readonly partitions: ReadonlyArray<string>
  readonly after?: string | undefined
  /** How many entries are likely to be taken: it sizes the pages. */
  readonly expected: number
}

export interface Sequence {
  /** The next entry, left where it is. Undefined at the end. */
  readonly peek: Effect.Effect<Entry | undefined, StorageError>
  /** The next entries, at most `count` and only while they pass. */
  readonly take: (
    count: number,
    passes?: (entry: Entry) => boolean
  ) => Effect.Effect<ReadonlyArray<Entry>, StorageError>
}

interface Partition {
  readonly value: string
  entries: ReadonlyArray<Entry>
  at: number
  /** Where the next page begins; null at the end. */
  from: Item | undefined | null
}

export const merge = (db: Db, source: Source): Sequence => {
  const partitions = source.partitions.map((value): Partition => ({ value, entries: [], at: 0, from: undefined }))
  const share = Math.ceil((source.expected * 1.5) / Math.max(1, partitions.length))
  const limit = Math.min(1_000, Math.max(8, share))

  const fill = (partition: Partition): Effect.Effect<void, StorageError> =>
    partition.at < partition.entries.length || partition.from === null
      ? Effect.void
      : Effect.flatMap(
          query(db, {
            index: source.index,
            hash: [source.hash, partition.value],
            ...(source.after === undefined ? {} : { after: [source.range, source.after] as const }),
            ...(partition.from === undefined ? {} : { from: partition.from }),
            limit
          }),
          (page) => {
            partition.entries = page.items.flatMap((item) => {
              const [pk, sk, order] = [text(item, "pk"), text(item, "sk"), text(item, source.range)]
              return pk === null || sk === null || order === null ? [] : [{ pk, sk, order }]
            })
            partition.at = 0
            partition.from = page.next ?? null
            return fill(partition)
          }
        )

  const best = Effect.map(Effect.forEach(partitions, fill, { concurrency: db.concurrency, discard: true }), () => {
    let found: { readonly partition: Partition; readonly entry: Entry } | undefined
    for (const partition of partitions) {
      const entry = partition.entries[partition.at]
      if (entry !== undefined && (found === undefined || entry.order < found.entry.order)) found = { partition, entry }
    }
    return found
  })

  return {
    peek: Effect.map(best, (found) => found?.entry),
    take: (count, passes = () => true) =>
      Effect.gen(function* () {
        const taken: Array<Entry> = []
        while (taken.length < count) {
          const found = yield* best
          if (found === undefined || !passes(found.entry)) break
          found.partition.at++
          taken.push(found.entry)
        }
        return taken
      })
  }
}
