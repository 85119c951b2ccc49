import * as Effect from "effect/Effect"
import type { Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { run } from "./db.js"
import { oldest } from "./oldest.js"
import { passed } from "./time.js"

export const promote =
  (db: Db): Service["promote"] =>
  (limit) =>
    Effect.gen(function* () {
      const now = yield* db.now
      const { ids, nextIn } = yield* oldest(db, "promote", {
        filter: { state: "scheduled" },
        field: "runAt",
        now,
        limit
      })
      if (ids.length === 0) return { promoted: 0, nextIn }
      const { modifiedCount } = yield* run("promote", () =>
        db.jobs.updateMany(
          { _id: { $in: ids }, state: "scheduled", ...passed("runAt", now) },
          { $set: { state: "pending" } }
        )
      )
      return { promoted: modifiedCount, nextIn }
    })
