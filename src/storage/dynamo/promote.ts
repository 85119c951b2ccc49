import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { idOf } from "./keys.js"
import { change } from "./records.js"
import { byInstant, instantOf, until } from "./work.js"

export const promote =
  (db: Db): Service["promote"] =>
  (limit) =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const sequence = byInstant(db, "scheduled", limit)
      let promoted = 0
      while (promoted < limit) {
        const due = yield* sequence.take(limit - promoted, until(now))
        if (due.length === 0) break
        const answers = yield* change(
          db,
          due.map((entry) => idOf(entry.pk)),
          (id) => id,
          (row) =>
            row?.state === "scheduled" && row.runAt <= now
              ? { answer: true, next: { ...row, state: "pending" } }
              : { answer: false }
        )
        promoted += answers.filter((answer) => answer).length
      }
      const next = yield* sequence.peek
      return { promoted, nextIn: next === undefined ? undefined : Math.max(0, instantOf(next) - now) }
    })
