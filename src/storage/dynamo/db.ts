/** What every operation needs: the table, the shards, the process's own hints. */
import * as Effect from "effect/Effect"
import type { Wakeup } from "../../JobStorage.js"
import type { Dynamo } from "./client.js"

export interface Db extends Dynamo {
  /** Shards that new places are spread over. */
  readonly shards: number
  /** Shards that are read: the most that any process has used, as far as is known here. */
  readonly knownShards: { readonly get: () => number; readonly raise: (shards: number) => void }
  /** (queue, name) pairs that are known to be registered. */
  readonly pairs: Set<string>
  /** Milliseconds by which the clocks of two processes may differ. */
  readonly clockSkew: number
  readonly tell: (wakeup: Wakeup) => void
}

export const eachShard = <A>(db: Db, f: (shard: number) => A): ReadonlyArray<A> =>
  Array.from({ length: db.knownShards.get() }, (_, shard) => f(shard))

/** Items that share a key are taken one after the other, the others side by side; answers keep the order. */
export const inOrder = <A, B, E>(
  db: Db,
  items: ReadonlyArray<A>,
  keyOf: (item: A) => string,
  run: (item: A, index: number) => Effect.Effect<B, E>
): Effect.Effect<ReadonlyArray<B>, E> => {
  const groups = new Map<string, Array<readonly [A, number]>>()
  items.forEach((item, index) => {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [[item, index]])
    else group.push([item, index])
  })
  return Effect.map(
    Effect.forEach(
      groups.values(),
      (group) =>
        Effect.forEach(group, ([item, index]) => Effect.map(run(item, index), (answer) => [index, answer] as const)),
      { concurrency: db.concurrency }
    ),
    (answers) =>
      answers
        .flat()
        .sort(([a], [b]) => a - b)
        .map(([, answer]) => answer)
  )
}
