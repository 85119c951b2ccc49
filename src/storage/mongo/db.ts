/** What every operation needs: the collections, the clock and the error mapping. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Mongo from "mongodb"
import type { StorageError } from "../../JobError.js"
import type { JobDocument } from "./document.js"
import { isDuplicateKey, storageError } from "./errors.js"
import type { ScheduleDocument } from "./scheduleDocument.js"
import type { Now } from "./time.js"

export interface QueueDocument {
  readonly _id: string
  readonly paused: boolean
}

export interface Db {
  readonly database: Mongo.Db
  readonly jobs: Mongo.Collection<JobDocument>
  readonly queues: Mongo.Collection<QueueDocument>
  readonly schedules: Mongo.Collection<ScheduleDocument>
  readonly storeClock: boolean
  readonly now: Effect.Effect<Now>
}

export const make = (options: {
  readonly database: Mongo.Db
  readonly prefix: string
  readonly storeClock: boolean
}): Db => ({
  database: options.database,
  jobs: options.database.collection(`${options.prefix}jobs`),
  queues: options.database.collection(`${options.prefix}queues`),
  schedules: options.database.collection(`${options.prefix}schedules`),
  storeClock: options.storeClock,
  now: options.storeClock ? Effect.succeed("$$NOW") : Effect.map(Clock.currentTimeMillis, (millis) => new Date(millis))
})

export const run = <A>(operation: string, ask: () => Promise<A>): Effect.Effect<A, StorageError> =>
  Effect.tryPromise({ try: ask, catch: (error) => storageError(operation, error) })

/** A mark for the documents that one call changes. Made by the driver: unique across machines whatever `Random` is. */
export const mark: Effect.Effect<Mongo.ObjectId> = Effect.sync(() => new Mongo.ObjectId())

export interface Written {
  readonly matched: number
  /** Positions of the operations that inserted a document. */
  readonly upserted: ReadonlySet<number>
  /** Positions of the operations that a unique index refused. */
  readonly refused: ReadonlySet<number>
}

const writtenOf = (result: Mongo.BulkWriteResult, refused: ReadonlySet<number>): Written => ({
  matched: result.matchedCount,
  upserted: new Set(Object.keys(result.upsertedIds).map(Number)),
  refused
})

const refusals = (error: Mongo.MongoBulkWriteError): ReadonlyArray<Mongo.WriteError> => [error.writeErrors].flat()

const confirmed = (error: Mongo.MongoBulkWriteError): boolean => error.result.getWriteConcernError() === undefined

/** One unordered batch; refusals by a unique index are an answer, all else fails. */
export const bulk = <D extends Mongo.Document>(
  operation: string,
  collection: Mongo.Collection<D>,
  operations: ReadonlyArray<Mongo.AnyBulkWriteOperation<D>>,
  session?: Mongo.ClientSession
): Effect.Effect<Written, StorageError> =>
  Effect.tryPromise({
    try: () => collection.bulkWrite(operations, { ordered: false, ...(session === undefined ? {} : { session }) }),
    catch: (error) => error
  }).pipe(
    Effect.map((result) => writtenOf(result, new Set())),
    Effect.catchAll((error) => {
      if (error instanceof Mongo.MongoBulkWriteError) {
        const errors = refusals(error)
        if (session === undefined && errors.length > 0 && errors.every(isDuplicateKey) && confirmed(error)) {
          return Effect.succeed(writtenOf(error.result, new Set(errors.map((one) => one.index))))
        }
      }
      return Effect.fail(storageError(operation, error))
    })
  )
