/** The table: created on demand, or checked. */
import { liveClock } from "../../internal/liveClock.js"
import {
  CreateTableCommand,
  DescribeTableCommand,
  type KeySchemaElement,
  type TableDescription
} from "@aws-sdk/client-dynamodb"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { StorageError } from "../../JobError.js"
import { type Dynamo, pause, send } from "./client.js"
import { isAlreadyThere, isMissingTable } from "./errors.js"
import { listIndex, workIndex } from "./keys.js"

const keys = (hash: string, range: string): Array<KeySchemaElement> => [
  { AttributeName: hash, KeyType: "HASH" },
  { AttributeName: range, KeyType: "RANGE" }
]

const indexes = [
  { name: workIndex, keys: keys("wk", "ws"), carries: ["queue"] },
  { name: listIndex, keys: keys("lk", "pk"), carries: ["queue", "name", "enqueuedAt"] }
]

const createTable = (db: Dynamo): CreateTableCommand =>
  new CreateTableCommand({
    TableName: db.table,
    BillingMode: "PAY_PER_REQUEST",
    AttributeDefinitions: ["pk", "sk", "wk", "ws", "lk"].map((AttributeName) => ({
      AttributeName,
      AttributeType: "S"
    })),
    KeySchema: keys("pk", "sk"),
    GlobalSecondaryIndexes: indexes.map((index) => ({
      IndexName: index.name,
      KeySchema: index.keys,
      Projection: { ProjectionType: "INCLUDE", NonKeyAttributes: index.carries }
    }))
  })

const keyText = (schema: ReadonlyArray<KeySchemaElement> | undefined): string =>
  (schema ?? []).map((key) => `${key.KeyType} ${key.AttributeName}`).join(", ")

/** What is wrong with the table, or nothing. */
const fault = (table: TableDescription): string | undefined => {
  if (keyText(table.KeySchema) !== keyText(keys("pk", "sk"))) return "has other keys than pk and sk"
  for (const { carries, keys, name } of indexes) {
    const index = table.GlobalSecondaryIndexes?.find((one) => one.IndexName === name)
    if (index === undefined) return `has no index ${name}`
    if (keyText(index.KeySchema) !== keyText(keys)) return `has another index ${name}`
    const { NonKeyAttributes = [], ProjectionType } = index.Projection ?? {}
    if (ProjectionType !== "ALL" && !carries.every((attribute) => NonKeyAttributes.includes(attribute))) {
      return `has an index ${name} without ${carries.join(", ")}`
    }
  }
  return undefined
}

const isReady = (table: TableDescription): boolean =>
  (table.TableStatus === "ACTIVE" || table.TableStatus === "UPDATING") &&
  (table.GlobalSecondaryIndexes ?? []).every((index) => index.IndexStatus === "ACTIVE")

const describe = (db: Dynamo) =>
  send("DescribeTable", (signal) => db.client.send(new DescribeTableCommand({ TableName: db.table }), signal)).pipe(
    Effect.map((reply) => reply.Table),
    Effect.catchAll((error) => (isMissingTable(error.cause) ? Effect.succeed(undefined) : Effect.fail(error)))
  )

const broken = (db: Dynamo, what: string, isTransient: boolean) =>
  new StorageError({ operation: "open", message: `open: the table ${db.table} ${what}`, isTransient })

const within =
  (limit: Duration.Duration, what: string, db: Dynamo) =>
  <A>(effect: Effect.Effect<A, StorageError>): Effect.Effect<A, StorageError> =>
    effect.pipe(
      Effect.timeoutFail({ duration: limit, onTimeout: () => broken(db, what, true) }),
      // real time also under TestClock: a service that is away must not hang the build
      Effect.withClock(liveClock)
    )

/** Makes sure of the table. The first answer must come within `connectTimeout`; a new table may take longer. */
export const ensureTable = (
  db: Dynamo,
  options: { readonly create: boolean; readonly connectTimeout: Duration.Duration }
): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    let table = yield* within(options.connectTimeout, "could not be reached in time", db)(describe(db))
    if (table === undefined) {
      if (!options.create) return yield* broken(db, "does not exist", false)
      yield* send("CreateTable", (signal) => db.client.send(createTable(db), signal)).pipe(
        // another process was faster
        Effect.catchAll((error) => (isAlreadyThere(error.cause) ? Effect.void : Effect.fail(error)))
      )
    }
    const ready = Effect.gen(function* () {
      while (table === undefined || !isReady(table)) {
        yield* pause(table === undefined ? 50 : 500)
        table = yield* describe(db)
      }
      return table
    })
    const found = yield* within(Duration.minutes(5), "did not become active in time", db)(ready)
    const what = fault(found)
    if (what !== undefined) return yield* broken(db, what, false)
  })
