/** Where things are: the table's keys, and the index partitions with their orders. */
import { createHash } from "node:crypto"
import type { JobRow, State } from "../../JobStorage.js"
import type { Key } from "./client.js"

/** The index of work: `wk` is the partition, `ws` its order, `queue` is carried along. */
export const workIndex = "work"

/** The index of all jobs by id: `lk` is the partition, `pk` its order; `queue`, `name`, `enqueuedAt` are carried. */
export const listIndex = "list"

const jobPrefix = "job#"

export const jobKey = (id: string): Key => ({ pk: `${jobPrefix}${id}`, sk: "job" })

export const idOf = (pk: string): string => pk.slice(jobPrefix.length)

/** Keys may be longer than DynamoDB allows, so a digest stands for them. */
export const uniqueKey = (name: string, key: string): Key => ({
  pk: `unique#${createHash("sha256")
    .update(JSON.stringify([name, key]))
    .digest("hex")}`,
  sk: "unique"
})

/** Settings, paused queues and known pairs: one partition, read whole. */
export const controlPartition = "control"

/** Schedules: one partition in id order, so that pages are consistent reads. */
export const schedulePartition = "schedules"

export const scheduleKey = (id: string): Key => ({ pk: schedulePartition, sk: id })

/** FNV-1a; ids that were made one after the other must not meet in one shard. */
export const shardOf = (id: string, shards: number): number => {
  let hash = 0x811c9dc5
  for (let at = 0; at < id.length; at++) hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193)
  return (hash >>> 0) % shards
}

/** Text that sorts as the number does; instants before 1970 all sort first. */
export const instant = (millis: number): string => Math.max(0, Math.floor(millis)).toString().padStart(16, "0")

const highFirst = (priority: number): string => (2_147_483_647 - priority).toString().padStart(10, "0")

export interface Pair {
  readonly queue: string
  readonly name: string
}

export const readyPartition = (pair: Pair, shard: number): string =>
  `ready#${shard}#${JSON.stringify([pair.queue, pair.name])}`

/** Jobs of one kind whatever their queue; `draft` are those not yet committed. */
export const kindPartition = (kind: Exclude<State, "pending"> | "draft", shard: number): string => `${kind}#${shard}`

export const listPartition = (shard: number): string => `jobs#${shard}`

/** Enabled schedules by their cursor. */
export const duePartition = "due"

/** A job's place in the index of work. It moves in the very update that changes the job. */
export const place = (row: JobRow, draft: boolean, shards: number): { readonly wk: string; readonly ws: string } => {
  const shard = shardOf(row.id, shards)
  if (draft) return { wk: kindPartition("draft", shard), ws: `${instant(row.enqueuedAt)}#${row.id}` }
  switch (row.state) {
    case "pending":
      return {
        wk: readyPartition(row, shard),
        ws: `${highFirst(row.priority)}#${instant(row.runAt)}#${row.id}`
      }
    case "scheduled":
      return { wk: kindPartition(row.state, shard), ws: `${instant(row.runAt)}#${row.id}` }
    case "running":
      return { wk: kindPartition(row.state, shard), ws: `${instant(row.leaseUntil ?? 0)}#${row.id}` }
    default:
      return { wk: kindPartition(row.state, shard), ws: `${instant(row.finishedAt ?? 0)}#${row.id}` }
  }
}
