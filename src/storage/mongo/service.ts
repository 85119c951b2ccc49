import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type MongoClient, ReadConcern } from "mongodb"
import type { StorageError } from "../../JobError.js"
import type { Service } from "../../JobStorage.js"
import { claim } from "./claim.js"
import * as Db from "./db.js"
import { fire } from "./fire.js"
import * as Indexes from "./indexes.js"
import { insert } from "./insert.js"
import * as Operate from "./operate.js"
import { promote } from "./promote.js"
import * as Read from "./read.js"
import { progress, renew } from "./renew.js"
import * as Schedules from "./schedules.js"
import { settle } from "./settle.js"
import { prune, sweep } from "./sweep.js"
import { wakeups } from "./wakeups.js"

export interface MakeOptions {
  readonly client: MongoClient
  readonly database: string | undefined
  readonly prefix: string
  readonly clock: "store" | "effect"
  readonly createIndexes: boolean
  readonly changeStreams: boolean
}

/** A document has 16 MiB, and holds one payload with one result or failure. */
const textBytes = 7 * 1024 * 1024

/** Whether the server keeps a log of changes: replica sets and sharded clusters do. */
const hasChangeStreams = (db: Db.Db): Effect.Effect<boolean, StorageError> =>
  Effect.map(
    Db.run("open", () => db.database.command({ hello: 1 })),
    (hello) => typeof hello.setName === "string" || hello.msg === "isdbgrid"
  )

export const make = (options: MakeOptions): Effect.Effect<Service, StorageError> =>
  Effect.gen(function* () {
    const database = options.client.db(options.database, {
      readConcern: new ReadConcern("majority"),
      writeConcern: { w: "majority", wtimeoutMS: 10_000 },
      readPreference: "primary"
    })
    const db = Db.make({ database, prefix: options.prefix, storeClock: options.clock === "store" })
    const listens = (yield* hasChangeStreams(db)) && options.changeStreams
    if (options.createIndexes) yield* Indexes.create(db)
    return {
      capabilities: {
        storage: "mongodb",
        transactional: false,
        wakeups: listens ? "hint" : "none",
        storeClock: db.storeClock,
        durable: true,
        limits: { payloadBytes: textBytes, resultBytes: textBytes, atomicInsert: 1 }
      },
      insert: insert(db),
      claim: claim(db),
      promote: promote(db),
      settle: settle(db),
      renew: renew(db),
      progress: progress(db),
      sweep: sweep(db),
      cancel: Operate.cancel(db),
      rerun: Operate.rerun(db),
      reschedule: Operate.reschedule(db),
      remove: Operate.remove(db),
      get: Read.get(db),
      list: Read.list(db),
      counts: Read.counts(db),
      pauseQueue: Operate.pauseQueue(db),
      resumeQueue: Operate.resumeQueue(db),
      pausedQueues: Operate.pausedQueues(db),
      prune: prune(db),
      putSchedules: Schedules.putSchedules(db),
      removeSchedules: Schedules.removeSchedules(db),
      enableSchedules: Schedules.enableSchedules(db),
      getSchedules: Schedules.getSchedules(db),
      listSchedules: Schedules.listSchedules(db),
      dueSchedules: Schedules.dueSchedules(db),
      fire: fire(db),
      wakeups: listens ? wakeups(db) : Stream.never
    }
  })
