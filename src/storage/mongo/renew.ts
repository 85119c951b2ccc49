import * as Effect from "effect/Effect"
import type { AnyBulkWriteOperation } from "mongodb"
import type { Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { bulk, run } from "./db.js"
import type { JobDocument } from "./document.js"
import { after } from "./time.js"

export const renew =
  (db: Db): Service["renew"] =>
  (holds, lease) =>
    holds.length === 0
      ? Effect.succeed([])
      : Effect.gen(function* () {
          const now = yield* db.now
          yield* bulk(
            "renew",
            db.jobs,
            holds.map(
              ({ id, token }): AnyBulkWriteOperation<JobDocument> => ({
                updateOne: {
                  filter: { _id: id, token, state: "running" },
                  update: [{ $set: { leaseUntil: after(now, lease) } }]
                }
              })
            )
          )
          // a token holds for one stretch of running only, so a row that still has it was renewed
          const found = yield* run("renew", () =>
            db.jobs
              .find({ _id: { $in: holds.map((hold) => hold.id) }, state: "running" })
              .project<Pick<JobDocument, "_id" | "token" | "cancelRequested">>({ token: 1, cancelRequested: 1 })
              .toArray()
          )
          const rows = new Map(found.map((one) => [one._id, one]))
          return holds.map((hold) => {
            const row = rows.get(hold.id)
            if (row === undefined || row.token !== hold.token) return "lost"
            return row.cancelRequested ? "cancelRequested" : "held"
          })
        })

export const progress =
  (db: Db): Service["progress"] =>
  ({ id, token }, value, message) =>
    Effect.map(
      run("progress", () =>
        db.jobs.updateOne({ _id: id, token, state: "running" }, { $set: { progress: value, progressMessage: message } })
      ),
      ({ matchedCount }) => matchedCount === 1
    )
