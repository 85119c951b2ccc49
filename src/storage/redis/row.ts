/** How a job's hash becomes a row. Absent fields are nulls, or the value of a job that never ran. */
import { Claimed } from "../../internal/claimed.js"
import type { ClaimedJob, JobRow, State } from "../../JobStorage.js"
import * as Reply from "./reply.js"

const columns = [
  "name",
  "queue",
  "state",
  "priority",
  "payload",
  "runAt",
  "attempt",
  "maxAttempts",
  "crashes",
  "generation",
  "token",
  "owner",
  "leaseUntil",
  "cancelRequested",
  "uniqueKey",
  "tags",
  "result",
  "failure",
  "progress",
  "progressMessage",
  "traceparent",
  "scheduleId",
  "slot",
  "enqueuedAt",
  "startedAt",
  "finishedAt"
] as const satisfies ReadonlyArray<keyof JobRow>

/** Lua: the whole row as a list, its id first; nil when there is none. */
export const readRow = `
local function readRow(id)
  local row = redis.call('HMGET', base .. 'job:' .. id, ${columns.map((column) => `'${column}'`).join(", ")})
  if not row[1] or not row[2] or not row[3] then return nil end
  table.insert(row, 1, id)
  return row
end
`

export const state: (value: unknown) => State = Reply.word(
  "scheduled",
  "pending",
  "running",
  "completed",
  "failed",
  "cancelled"
)

const tagsOf = (text: string | null): ReadonlyArray<string> =>
  text === null ? [] : Reply.list(JSON.parse(text)).map(Reply.text)

export const toRow = (reply: ReadonlyArray<unknown>): JobRow => {
  const [
    id,
    name,
    queue,
    stateText,
    priority,
    payload,
    runAt,
    attempt,
    maxAttempts,
    crashes,
    generation,
    token,
    owner,
    leaseUntil,
    cancelRequested,
    uniqueKey,
    tags,
    result,
    failure,
    progress,
    progressMessage,
    traceparent,
    scheduleId,
    slot,
    enqueuedAt,
    startedAt,
    finishedAt
  ] = reply
  return {
    id: Reply.text(id),
    name: Reply.text(name),
    queue: Reply.text(queue),
    state: state(stateText),
    priority: Reply.number(priority),
    payload: Reply.text(payload),
    runAt: Reply.number(runAt),
    attempt: Reply.numberOrNull(attempt) ?? 0,
    maxAttempts: Reply.number(maxAttempts),
    crashes: Reply.numberOrNull(crashes) ?? 0,
    generation: Reply.numberOrNull(generation) ?? 1,
    token: Reply.numberOrNull(token) ?? 0,
    owner: Reply.textOrNull(owner),
    leaseUntil: Reply.numberOrNull(leaseUntil),
    cancelRequested: cancelRequested !== null,
    uniqueKey: Reply.textOrNull(uniqueKey),
    tags: tagsOf(Reply.textOrNull(tags)),
    result: Reply.textOrNull(result),
    failure: Reply.textOrNull(failure),
    progress: Reply.numberOrNull(progress),
    progressMessage: Reply.textOrNull(progressMessage),
    traceparent: Reply.textOrNull(traceparent),
    scheduleId: Reply.textOrNull(scheduleId),
    slot: Reply.numberOrNull(slot),
    enqueuedAt: Reply.number(enqueuedAt),
    startedAt: Reply.numberOrNull(startedAt),
    finishedAt: Reply.numberOrNull(finishedAt)
  }
}

export const toClaimed = (reply: ReadonlyArray<unknown>): ClaimedJob => {
  const [
    id,
    name,
    queue,
    priority,
    payload,
    runAt,
    attempt,
    maxAttempts,
    token,
    traceparent,
    scheduleId,
    slot,
    enqueuedAt
  ] = reply
  return new Claimed(
    Reply.text(id),
    Reply.text(name),
    Reply.text(queue),
    Reply.number(priority),
    Reply.text(payload),
    Reply.number(runAt),
    Reply.number(attempt),
    Reply.number(maxAttempts),
    Reply.number(token),
    Reply.textOrNull(traceparent),
    Reply.textOrNull(scheduleId),
    Reply.numberOrNull(slot),
    Reply.number(enqueuedAt)
  )
}
