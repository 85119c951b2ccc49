/** What operators do to single jobs. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Service } from "../../JobStorage.js"
import { acquire } from "./acquire.js"
import { type Db, inOrder } from "./db.js"
import { change, commit, read } from "./records.js"
import { cancelled, isFinished, rerun as rerunRow, rescheduled } from "../../internal/transitions.js"

const self = (id: string): string => id

export const cancel =
  (db: Db): Service["cancel"] =>
  (ids) =>
    change(db, ids, self, (row, _, now) => {
      if (row === undefined) return { answer: "notFound" }
      // also the repeat of a cancellation whose reply was lost
      if (row.state === "cancelled") return { answer: "cancelled" }
      if (isFinished(row.state)) return { answer: "finished" }
      if (row.state !== "running") return { answer: "cancelled", next: cancelled(row, now) }
      return { answer: "requested", next: row.cancelRequested ? undefined : { ...row, cancelRequested: true } }
    })

export const reschedule =
  (db: Db): Service["reschedule"] =>
  (ids, due) =>
    change(db, ids, self, (row, _, now) => {
      if (row === undefined) return { answer: "notFound" }
      if (row.state === "running") return { answer: "running" }
      return isFinished(row.state)
        ? { answer: "finished" }
        : { answer: "rescheduled", next: rescheduled(row, due, now) }
    })

export const remove =
  (db: Db): Service["remove"] =>
  (ids) =>
    change(db, ids, self, (row) => {
      if (row === undefined) return { answer: "notFound" }
      return row.state === "running" ? { answer: "running" } : { answer: "removed", next: "removed" }
    })

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
