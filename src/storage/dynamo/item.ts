/** Rows as DynamoDB items and back. What is null in a row is absent in its item. */
import type { AttributeValue } from "@aws-sdk/client-dynamodb"
import type { JobRow, State } from "../../JobStorage.js"
import type { Item } from "./client.js"
import { idOf, jobKey, listPartition, place, shardOf } from "./keys.js"

type Value = string | number | boolean | ReadonlyArray<string> | null | undefined

const encodeValue = (value: Exclude<Value, null | undefined>): AttributeValue => {
  switch (typeof value) {
    case "string":
      return { S: value }
    case "number":
      return { N: String(value) }
    case "boolean":
      return { BOOL: value }
    default:
      return { L: value.map((member) => ({ S: member })) }
  }
}

export const encode = (values: { readonly [attribute: string]: Value }): Item => {
  const item: { [attribute: string]: AttributeValue } = {}
  for (const [name, value] of Object.entries(values)) {
    if (value !== null && value !== undefined) item[name] = encodeValue(value)
  }
  return item
}

export const text = (item: Item, name: string): string | null => item[name]?.S ?? null

export const number = (item: Item, name: string): number | null => {
  const value = item[name]?.N
  return value === undefined ? null : Number(value)
}

export const strings = (item: Item, name: string): ReadonlyArray<string> =>
  (item[name]?.L ?? []).flatMap((member) => (member.S === undefined ? [] : [member.S]))

const states: ReadonlyArray<State> = ["scheduled", "pending", "running", "completed", "failed", "cancelled"]

/** A job as it is stored. */
export interface Stored {
  readonly row: JobRow
  /** The stamp of the write that made it what it is. */
  readonly stamp: string
  /** Not committed yet: no reader sees it, no worker takes it. */
  readonly draft: boolean
  /** The schedule whose cursor commits the draft. */
  readonly schedule: string | null
  /** The item, for finding what a next write changes. */
  readonly item: Item
}

export const encodeJob = (job: Omit<Stored, "item">, shards: number): Item => {
  const { id, ...row } = job.row
  return encode({
    ...row,
    ...jobKey(id),
    ...place(job.row, job.draft, shards),
    cancelRequested: row.cancelRequested ? true : null,
    tags: row.tags.length === 0 ? null : row.tags,
    lk: job.draft ? null : listPartition(shardOf(id, shards)),
    v: job.stamp,
    draft: job.draft ? true : null,
    fires: job.schedule
  })
}

/** Undefined when the item is no job of ours, so that a damaged one never stops its neighbours. */
export const decodeJob = (item: Item): Stored | undefined => {
  const pk = text(item, "pk")
  const name = text(item, "name")
  const queue = text(item, "queue")
  const state = states.find((one) => one === text(item, "state"))
  const stamp = text(item, "v")
  if (pk === null || name === null || queue === null || state === undefined || stamp === null) return undefined
  return {
    stamp,
    draft: item["draft"]?.BOOL === true,
    schedule: text(item, "fires"),
    item,
    row: {
      id: idOf(pk),
      name,
      queue,
      state,
      priority: number(item, "priority") ?? 0,
      payload: text(item, "payload") ?? "",
      runAt: number(item, "runAt") ?? 0,
      attempt: number(item, "attempt") ?? 0,
      maxAttempts: number(item, "maxAttempts") ?? 1,
      crashes: number(item, "crashes") ?? 0,
      generation: number(item, "generation") ?? 1,
      token: number(item, "token") ?? 0,
      owner: text(item, "owner"),
      leaseUntil: number(item, "leaseUntil"),
      cancelRequested: item["cancelRequested"]?.BOOL === true,
      uniqueKey: text(item, "uniqueKey"),
      tags: strings(item, "tags"),
      result: text(item, "result"),
      failure: text(item, "failure"),
      progress: number(item, "progress"),
      progressMessage: text(item, "progressMessage"),
      traceparent: text(item, "traceparent"),
      scheduleId: text(item, "scheduleId"),
      slot: number(item, "slot"),
      enqueuedAt: number(item, "enqueuedAt") ?? 0,
      startedAt: number(item, "startedAt"),
      finishedAt: number(item, "finishedAt")
    }
  }
}
