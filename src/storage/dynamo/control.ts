/**
 * The control partition: paused queues, the (queue, name) pairs ever seen, and the number of shards in use. It is small,
 * and one consistent read tells a claim where to look.
 */
import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import type { Service } from "../../JobStorage.js"
import { absent, batchPut, put, queryAll, remove } from "./client.js"
import type { Db } from "./db.js"
import { encode, number, text } from "./item.js"
import { controlPartition, type Pair } from "./keys.js"

export interface Control {
  readonly pairs: ReadonlyArray<Pair>
  readonly paused: ReadonlySet<string>
}

const pairKey = (pair: Pair): string => JSON.stringify([pair.queue, pair.name])

export const readControl = (db: Db): Effect.Effect<Control, StorageError> =>
  Effect.map(queryAll(db, { hash: ["pk", controlPartition] }), (pages) => {
    const pairs: Array<Pair> = []
    const paused = new Set<string>()
    for (const item of pages.flatMap((page) => page.items)) {
      const kind = text(item, "kind")
      const queue = text(item, "queue")
      const name = text(item, "name")
      if (kind === "pair" && queue !== null && name !== null) pairs.push({ queue, name })
      else if (kind === "paused" && queue !== null) paused.add(queue)
      else if (kind === "shards") db.knownShards.raise(number(item, "count") ?? 0)
    }
    return { pairs, paused }
  })

/** Makes pairs known before their first job is written, so that no job is ever where nobody looks. */
export const register = (db: Db, pairs: ReadonlyArray<Pair>): Effect.Effect<void, StorageError> => {
  const fresh = new Map<string, Pair>()
  for (const pair of pairs) {
    const key = pairKey(pair)
    if (!db.pairs.has(key)) fresh.set(key, pair)
  }
  if (fresh.size === 0) return Effect.void
  return Effect.map(
    batchPut(
      db,
      Array.from(fresh, ([key, { name, queue }]) =>
        encode({ pk: controlPartition, sk: `pair#${key}`, kind: "pair", queue, name })
      )
    ),
    () => {
      for (const key of fresh.keys()) db.pairs.add(key)
    }
  )
}

const shardsKey = { pk: controlPartition, sk: "shards" }

/** Says how many shards this process writes to, before it writes. The number never falls, for jobs may wait in them. */
export const announceShards = (db: Db): Effect.Effect<void, StorageError> =>
  Effect.zipRight(
    put(db, encode({ ...shardsKey, kind: "shards", count: db.shards }), {
      expression: `${absent.expression} OR #count < :count`,
      names: [...absent.names, "count"],
      values: { ":count": { N: String(db.shards) } }
    }),
    Effect.asVoid(readControl(db))
  )

const pausedKey = (queue: string) => ({ pk: controlPartition, sk: `paused#${queue}` })

export const pauses = (db: Db): Pick<Service, "pauseQueue" | "resumeQueue" | "pausedQueues"> => ({
  pauseQueue: (queue) => batchPut(db, [encode({ ...pausedKey(queue), kind: "paused", queue })]),
  resumeQueue: (queue) =>
    Effect.map(remove(db, pausedKey(queue), { expression: "attribute_exists(#pk)", names: ["pk"] }), (was) => {
      if (was) db.tell("jobs")
    }),
  pausedQueues: Effect.map(readControl(db), ({ paused }) => [...paused])
})
