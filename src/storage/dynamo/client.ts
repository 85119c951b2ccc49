/** The few DynamoDB calls that are used, as effects: conditions answer with a boolean, leftovers are sent again. */
import { liveClock } from "../../internal/liveClock.js"
import {
  type AttributeValue,
  BatchGetItemCommand,
  BatchWriteItemCommand,
  DeleteItemCommand,
  type DynamoDBClient,
  PutItemCommand,
  QueryCommand,
  UpdateItemCommand
} from "@aws-sdk/client-dynamodb"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type { StorageError } from "../../JobError.js"
import { isRefusedCondition, isThrottle, storageError } from "./errors.js"

export type Item = { readonly [attribute: string]: AttributeValue }

export interface Key {
  readonly pk: string
  readonly sk: string
}

/** An expression over `#a` names, which are attributes of the same name, and `:v` values. */
export interface Condition {
  readonly expression: string
  readonly names: ReadonlyArray<string>
  readonly values?: Item | undefined
}

export interface Page {
  readonly items: ReadonlyArray<Item>
  readonly count: number
  readonly next: Item | undefined
}

export interface Query {
  readonly index?: string | undefined
  readonly hash: readonly [attribute: string, value: string]
  /** Only sort keys after this one. */
  readonly after?: readonly [attribute: string, value: string] | undefined
  readonly limit?: number | undefined
  readonly from?: Item | undefined
  readonly count?: boolean | undefined
}

export interface Dynamo {
  readonly client: DynamoDBClient
  readonly table: string
  /** Most requests that one operation has under way. */
  readonly concurrency: number
}

export const pause = (millis: number): Effect.Effect<void> =>
  Effect.flatMap(Random.next, (unit) => Effect.withClock(Effect.sleep(millis * (0.5 + unit)), liveClock))

const backoff = Schedule.exponential("20 millis", 2).pipe(Schedule.jittered, Schedule.intersect(Schedule.recurs(8)))

/** Sends one request. The SDK retries lost replies; throttling is waited out here as well, so that a batch survives it. */
export const send = <A>(command: string, run: (signal: { readonly abortSignal: AbortSignal }) => Promise<A>) =>
  Effect.tryPromise({ try: (abortSignal) => run({ abortSignal }), catch: (error) => error }).pipe(
    Effect.retry({ schedule: backoff, while: isThrottle }),
    Effect.withClock(liveClock),
    Effect.mapError((error) => storageError(command, error))
  )

/** True when written, false when the condition said no. */
const conditional = <A>(effect: Effect.Effect<A, StorageError>): Effect.Effect<boolean, StorageError> =>
  Effect.as(effect, true).pipe(
    Effect.catchAll((error) => (isRefusedCondition(error.cause) ? Effect.succeed(false) : Effect.fail(error)))
  )

const keyOf = (key: Key) => ({ pk: { S: key.pk }, sk: { S: key.sk } })

const namesOf = (names: ReadonlyArray<string>) => Object.fromEntries(names.map((name) => [`#${name}`, name]))

const withCondition = (condition: Condition) => ({
  ConditionExpression: condition.expression,
  ExpressionAttributeNames: namesOf(condition.names),
  ...(condition.values === undefined ? {} : { ExpressionAttributeValues: { ...condition.values } })
})

export const absent: Condition = { expression: "attribute_not_exists(#pk)", names: ["pk"] }

/** The item is as it was seen: every write leaves a new stamp in `v`. */
export const unchanged = (stamp: string): Condition => ({
  expression: "#v = :seen",
  names: ["v"],
  values: { ":seen": { S: stamp } }
})

/** A value that no other write has: it tells a write whose reply was lost from somebody else's. */
export const stamp: Effect.Effect<string> = Effect.map(
  Effect.all([Random.nextIntBetween(0, 0x1_0000_0000), Random.nextIntBetween(0, 0x1_0000_0000)]),
  (parts) => parts.map((part) => part.toString(16).padStart(8, "0")).join("")
)

export const put = (db: Dynamo, item: Item, condition: Condition) =>
  conditional(
    send("PutItem", (signal) =>
      db.client.send(
        new PutItemCommand({ TableName: db.table, Item: { ...item }, ...withCondition(condition) }),
        signal
      )
    )
  )

export const remove = (db: Dynamo, key: Key, condition: Condition) =>
  conditional(
    send("DeleteItem", (signal) =>
      db.client.send(
        new DeleteItemCommand({ TableName: db.table, Key: keyOf(key), ...withCondition(condition) }),
        signal
      )
    )
  )

const sameValue = (a: AttributeValue | undefined, b: AttributeValue | undefined): boolean =>
  JSON.stringify(a) === JSON.stringify(b)

/** Turns the item that was seen into the next one, sending only what differs. */
export const replace = (db: Dynamo, key: Key, before: Item, after: Item, condition: Condition) => {
  const changed = Object.entries(after).filter(([name, value]) => !sameValue(before[name], value))
  const gone = Object.keys(before).filter((name) => after[name] === undefined)
  const set = changed.map(([name], at) => `#${name} = :n${at}`).join(", ")
  const expression = [set === "" ? "" : `SET ${set}`, gone.length === 0 ? "" : `REMOVE #${gone.join(", #")}`]
  const names = new Set([...changed.map(([name]) => name), ...gone, ...condition.names])
  const values = { ...condition.values, ...Object.fromEntries(changed.map(([, value], at) => [`:n${at}`, value])) }
  return conditional(
    send("UpdateItem", (signal) =>
      db.client.send(
        new UpdateItemCommand({
          TableName: db.table,
          Key: keyOf(key),
          UpdateExpression: expression.join(" ").trim(),
          ConditionExpression: condition.expression,
          ExpressionAttributeNames: namesOf([...names]),
          ...(Object.keys(values).length === 0 ? {} : { ExpressionAttributeValues: values })
        }),
        signal
      )
    )
  )
}

const chunks = <A>(all: ReadonlyArray<A>, size: number): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(all.length / size) }, (_, at) => all.slice(at * size, (at + 1) * size))

/** Sends the leftovers again until there are none; every round gets smaller or waits longer. */
const drain = <A, B>(
  command: string,
  first: ReadonlyArray<A>,
  round: (
    left: ReadonlyArray<A>
  ) => Effect.Effect<readonly [done: ReadonlyArray<B>, left: ReadonlyArray<A>], StorageError>
): Effect.Effect<ReadonlyArray<B>, StorageError> =>
  Effect.gen(function* () {
    const done: Array<B> = []
    let left = first
    for (let idle = 0; left.length > 0; ) {
      const [some, rest] = yield* round(left)
      done.push(...some)
      idle = rest.length < left.length ? 0 : idle + 1
      if (idle > 8) return yield* storageError(command, { name: "ProvisionedThroughputExceededException" })
      if (rest.length > 0) yield* pause(20 * 2 ** idle)
      left = rest
    }
    return done
  })

/** The items that exist, read consistently, in no particular order. */
export const batchGet = (db: Dynamo, keys: ReadonlyArray<Key>): Effect.Effect<ReadonlyArray<Item>, StorageError> =>
  Effect.map(
    Effect.forEach(
      chunks(keys.map(keyOf), 100),
      (chunk) =>
        drain<Item, Item>("BatchGetItem", chunk, (left) =>
          Effect.map(
            send("BatchGetItem", (signal) =>
              db.client.send(
                new BatchGetItemCommand({
                  RequestItems: { [db.table]: { Keys: left.map((key) => ({ ...key })), ConsistentRead: true } }
                }),
                signal
              )
            ),
            (reply) => [reply.Responses?.[db.table] ?? [], reply.UnprocessedKeys?.[db.table]?.Keys ?? []]
          )
        ),
      { concurrency: db.concurrency }
    ),
    (found) => found.flat()
  )

/** Writes items that are the same whoever writes them, so no condition is needed. */
export const batchPut = (db: Dynamo, items: ReadonlyArray<Item>): Effect.Effect<void, StorageError> =>
  Effect.forEach(
    chunks(items, 25),
    (chunk) =>
      drain<Item, never>("BatchWriteItem", chunk, (left) =>
        Effect.map(
          send("BatchWriteItem", (signal) =>
            db.client.send(
              new BatchWriteItemCommand({
                RequestItems: { [db.table]: left.map((item) => ({ PutRequest: { Item: { ...item } } })) }
              }),
              signal
            )
          ),
          (reply) => [
            [],
            (reply.UnprocessedItems?.[db.table] ?? []).flatMap(({ PutRequest }) =>
              PutRequest?.Item === undefined ? [] : [PutRequest.Item]
            )
          ]
        )
      ),
    { concurrency: db.concurrency, discard: true }
  )

/** One page. The table is read consistently; an index cannot be. */
export const query = (db: Dynamo, request: Query): Effect.Effect<Page, StorageError> =>
  Effect.map(
    send("Query", (signal) => {
      const { after, hash } = request
      return db.client.send(
        new QueryCommand({
          TableName: db.table,
          KeyConditionExpression: `#${hash[0]} = :hash${after === undefined ? "" : ` AND #${after[0]} > :after`}`,
          ExpressionAttributeNames: namesOf(after === undefined ? [hash[0]] : [hash[0], after[0]]),
          ExpressionAttributeValues: {
            ":hash": { S: hash[1] },
            ...(after === undefined ? {} : { ":after": { S: after[1] } })
          },
          ...(request.index === undefined ? { ConsistentRead: true } : { IndexName: request.index }),
          ...(request.limit === undefined ? {} : { Limit: request.limit }),
          ...(request.from === undefined ? {} : { ExclusiveStartKey: { ...request.from } }),
          ...(request.count === true ? { Select: "COUNT" } : {})
        }),
        signal
      )
    }),
    (reply) => ({ items: reply.Items ?? [], count: reply.Count ?? 0, next: reply.LastEvaluatedKey })
  )

/** All pages. */
export const queryAll = (db: Dynamo, request: Query): Effect.Effect<ReadonlyArray<Page>, StorageError> =>
  Effect.gen(function* () {
    const pages: Array<Page> = []
    for (let from: Item | undefined; ; ) {
      const page = yield* query(db, { ...request, from })
      pages.push(page)
      if (page.next === undefined) return pages
      from = page.next
    }
  })
