/** What operators do to single jobs. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Service } from "../../JobStorage.js"
import { acquire } from "./acquire.js"
import { type Db, inOrder } from "./db.js"
import { change, commit, read } from "./records.js"
import { isFinished, rerun as rerunRow } from "../../internal/transitions.js"
import * as Rows from "../../Rows.js"

const self = (id: string): string => id

export const cancel =
  (db: Db): Service["cancel"] =>
  (ids) =>
    change(db, ids, self, (row, _, now) => Rows.cancel(now)(row))

export const reschedule =
  (db: Db): Service["reschedule"] =>
  (ids, due) =>
    change(db, ids, self, (row, _, now) => Rows.reschedule(due, now)(row))

export const remove =
  (db: Db): Service["remove"] =>
  (ids) =>
    change(db, ids, self, Rows.remove)

/**
 * The unique key is taken for the next generation before the job is brought back. A crash between the two leaves the
 * key with a finished job, from which it can be taken over.
 */
export const rerun =
  (db: Db): Service["rerun"] =>
  (ids) =>
    inOrder(db, ids, self, (id) =>
      Effect.gen(function* () {
        for (;;) {
          const seen = yield* read(db, id)
          if (seen === undefined || seen.draft) return "notFound"
          const { row } = seen
          if (!isFinished(row.state)) return "unfinished"
          const next = rerunRow(row, yield* Clock.currentTimeMillis)
          if (row.uniqueKey !== null) {
            const holder = yield* acquire(db, row.name, row.uniqueKey, { id, generation: next.generation })
            if (holder !== undefined) return "duplicate"
          }
          if (yield* commit(db, seen, next)) return "rerun"
        }
      })
    )
