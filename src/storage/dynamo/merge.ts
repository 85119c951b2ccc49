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
  /** What the index carries. */
  readonly item: Item
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
    partition.from === null
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
              return pk === null || sk === null || order === null ? [] : [{ pk, sk, order, item }]
            })
            partition.at = 0
            partition.from = page.next ?? null
            return partition.entries.length === 0 ? fill(partition) : Effect.void
          }
        )

  /** Partitions whose next entry is not known. */
  let unread: ReadonlyArray<Partition> = partitions

  const readHeads = Effect.suspend(() =>
    unread.length === 0
      ? Effect.void
      : Effect.map(Effect.forEach(unread, fill, { concurrency: db.concurrency, discard: true }), () => {
          unread = []
        })
  )

  const first = (): Partition | undefined => {
    let best: Partition | undefined
    for (const partition of partitions) {
      const order = partition.entries[partition.at]?.order
      const least = best?.entries[best.at]?.order
      if (order !== undefined && (least === undefined || order < least)) best = partition
    }
    return best
  }

  return {
    peek: Effect.map(readHeads, () => {
      const partition = first()
      return partition?.entries[partition.at]
    }),
    take: (count, passes = () => true) =>
      Effect.gen(function* () {
        const taken: Array<Entry> = []
        while (taken.length < count) {
          yield* readHeads
          const partition = first()
          const entry = partition?.entries[partition.at]
          if (partition === undefined || entry === undefined || !passes(entry)) break
          taken.push(entry)
          partition.at++
          if (partition.at === partition.entries.length) unread = [partition]
        }
        return taken
      })
  }
}
