import { randomUUID } from "node:crypto"
import type { NewJob, PutSchedule } from "../../src/JobStorage.js"

export const job = (over: Partial<NewJob> = {}): NewJob => ({
  id: randomUUID(),
  name: "mail",
  queue: "default",
  priority: 0,
  payload: "{}",
  due: { delay: 0 },
  maxAttempts: 3,
  uniqueKey: null,
  tags: [],
  traceparent: null,
  scheduleId: null,
  slot: null,
  ...over
})

export const schedule = (over: Partial<PutSchedule> = {}): PutSchedule => ({
  id: "s",
  job: "mail",
  queue: "default",
  priority: 0,
  payload: "{}",
  maxAttempts: 3,
  uniqueKey: null,
  recurrence: "every PT1M",
  missed: 1,
  overlap: "allow",
  jitter: 0,
  enabled: undefined,
  next: 60_000,
  ...over
})
