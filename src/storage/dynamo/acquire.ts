/**
 * Taking a unique key for a job. The key item says who holds the key; whether the holder still has a right to it is
 * asked of the holder's own job item.
 *
 * A key is taken over only after its holder has been fenced, so that a writer which was merely slow cannot come back to
 * life under a key it has lost:
 * - the holder is a draft: it is resolved first. Its writer, if there still is one, cannot activate it then.
 * - the holder is finished (a crash came before the release, or a rerun is under way): its item gets a new stamp first,
 *   so that the rerun fails and looks again.
 * - the holder is missing (a crash came after its removal): it can only come back as a draft, which asks for the key.
 * The take-over itself is conditional on the key item as it was seen.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import { liveClock } from "../../internal/liveClock.js"
import { pause } from "./client.js"
import type { Db } from "./db.js"
import { resolve } from "./draft.js"
import { read, write } from "./records.js"
import { isFinished } from "../../internal/transitions.js"
import { type Holder, readHolder, take } from "./uniqueKey.js"

/** How long a holder may stay a draft before its writer counts as gone, in milliseconds of real time. */
const patience = 2_000

/** Undefined once `mine` holds the key, else the id of the unfinished job that does. */
export const acquire = (
  db: Db,
  name: string,
  key: string,
  mine: Holder
): Effect.Effect<string | undefined, StorageError> =>
  Effect.gen(function* () {
    if (yield* take(db, name, key, mine, undefined)) return undefined
    const now = Effect.withClock(Clock.currentTimeMillis, liveClock)
    let waitingFor = ""
    let since = 0
    for (;;) {
      const held = yield* readHolder(db, name, key)
      if (held !== undefined && held.id !== mine.id) {
        const holder = yield* read(db, held.id)
        if (holder?.draft === true) {
          if (holder.stamp !== waitingFor) {
            waitingFor = holder.stamp
            since = yield* now
          }
          if ((yield* now) - since < patience) yield* pause(25)
          else yield* resolve(db, holder)
          continue
        }
        const owns = holder?.row.name === name && holder.row.uniqueKey === key
        if (holder !== undefined && owns) {
          if (!isFinished(holder.row.state)) return held.id
          if (!(yield* write(db, holder, holder))) continue
        }
      }
      if (yield* take(db, name, key, mine, held)) return undefined
    }
  })
