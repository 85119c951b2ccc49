/**
 * The item that stands for a unique key: it names the job that holds it, and the generation of that job. The generation
 * keeps a late release from taking the key away from a rerun of the same job.
 */
import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import type { JobRow } from "../../JobStorage.js"
import { absent, batchGet, put, remove, stamp, unchanged } from "./client.js"
import type { Db } from "./db.js"
import { encode, number, text } from "./item.js"
import { uniqueKey } from "./keys.js"

export interface Holder {
  readonly id: string
  readonly generation: number
}

export interface Held extends Holder {
  readonly stamp: string
}

export const readHolder = (db: Db, name: string, key: string): Effect.Effect<Held | undefined, StorageError> =>
  Effect.map(batchGet(db, [uniqueKey(name, key)]), ([item]) => {
    if (item === undefined) return undefined
    return {
      id: text(item, "holder") ?? "",
      generation: number(item, "generation") ?? 0,
      stamp: text(item, "v") ?? ""
    }
  })

/** Gives the key to `holder` if it is free, or still as it was seen. */
export const take = (
  db: Db,
  name: string,
  key: string,
  holder: Holder,
  seen: Held | undefined
): Effect.Effect<boolean, StorageError> =>
  Effect.gen(function* () {
    const mine = yield* stamp
    const item = encode({
      ...uniqueKey(name, key),
      name,
      holder: holder.id,
      generation: holder.generation,
      v: mine
    })
    if (yield* put(db, item, seen === undefined ? absent : unchanged(seen.stamp))) return true
    // the reply to the first send may have been lost
    return (yield* readHolder(db, name, key))?.stamp === mine
  })

/** Frees the key that this generation of the job holds; nothing when it is somebody else's by now. */
export const release = (db: Db, row: JobRow): Effect.Effect<void, StorageError> =>
  row.uniqueKey === null
    ? Effect.void
    : Effect.asVoid(
        remove(db, uniqueKey(row.name, row.uniqueKey), {
          expression: "#holder = :holder AND #generation = :generation",
          names: ["holder", "generation"],
          values: { ":holder": { S: row.id }, ":generation": { N: String(row.generation) } }
        })
      )
