import type { ClaimedJob } from "../JobStorage.js"

/**
 * A claimed row of a storage that makes its rows itself, or whose driver makes them of literals: where those of a place
 * are found alive for once, V8 makes the later ones old, for full collections only, and all that they refer to with them.
 */
export class Claimed implements ClaimedJob {
  readonly id: string
  readonly name: string
  readonly queue: string
  readonly priority: number
  readonly payload: string
  readonly runAt: number
  readonly attempt: number
  readonly maxAttempts: number
  readonly token: number
  readonly traceparent: string | null
  readonly scheduleId: string | null
  readonly slot: number | null
  readonly enqueuedAt: number

  constructor(
    id: string,
    name: string,
    queue: string,
    priority: number,
    payload: string,
    runAt: number,
    attempt: number,
    maxAttempts: number,
    token: number,
    traceparent: string | null,
    scheduleId: string | null,
    slot: number | null,
    enqueuedAt: number
  ) {
    this.id = id
    this.name = name
    this.queue = queue
    this.priority = priority
    this.payload = payload
    this.runAt = runAt
    this.attempt = attempt
    this.maxAttempts = maxAttempts
    this.token = token
    this.traceparent = traceparent
    this.scheduleId = scheduleId
    this.slot = slot
    this.enqueuedAt = enqueuedAt
  }
}
