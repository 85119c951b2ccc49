/** Wake-ups from a change stream: the server tells of rows that became pending and of schedules that changed. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ChangeStream, Document } from "mongodb"
import type { StorageError } from "../../JobError.js"
import type { Wakeup } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { run } from "./db.js"

/** Only that something changed crosses the wire, not what. */
const telling = (db: Db): Array<Document> => [
  {
    $match: {
      operationType: { $in: ["insert", "update", "replace"] },
      $or: [
        {
          "ns.coll": db.jobs.collectionName,
          $or: [{ "fullDocument.state": "pending" }, { "updateDescription.updatedFields.state": "pending" }]
        },
        {
          "ns.coll": db.schedules.collectionName,
          $or: [{ operationType: "insert" }, { "updateDescription.updatedFields.version": { $exists: true } }]
        }
      ]
    }
  },
  { $project: { ns: 1 } }
]

const wakeupOf = (db: Db, change: Document): Wakeup =>
  Reflect.get(Object(change.ns), "coll") === db.schedules.collectionName ? "schedules" : "jobs"

/** A new listener hears both kinds at once, for what changed before it listened. */
export const wakeups = (db: Db): Stream.Stream<Wakeup, StorageError> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const changes = yield* Effect.acquireRelease(
        Effect.sync((): ChangeStream<Document, Document> => db.database.watch(telling(db))),
        (open) => Effect.ignore(run("wakeups", () => open.close()))
      )
      // the driver opens it on the first read
      const first = yield* run("wakeups", () => changes.tryNext())
      const next = run("wakeups", () => changes.next())
      return Stream.make<[Wakeup, Wakeup]>("jobs", "schedules").pipe(
        Stream.concat(first === null ? Stream.empty : Stream.make(wakeupOf(db, first))),
        Stream.concat(Stream.repeatEffect(Effect.map(next, (change) => wakeupOf(db, change))))
      )
    })
  )
