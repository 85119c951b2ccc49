import { randomUUID } from "node:crypto"
import type { NewJob } from "../../src/JobStorage.js"

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
