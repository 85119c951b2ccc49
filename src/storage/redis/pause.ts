import * as Effect from "effect/Effect"
import type { Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import * as Reply from "./reply.js"
import * as Script from "./script.js"

const pause = Script.make("pauseQueue", "goesOn", `return redis.call('SADD', base .. 'paused', ARGV[2])`)

const resume = Script.make(
  "resumeQueue",
  "goesOn",
  `
local removed = redis.call('SREM', base .. 'paused', ARGV[2])
if removed > 0 then redis.call('PUBLISH', base .. 'wakeups', 'jobs') end
return removed
`
)

const paused = Script.make("pausedQueues", "reads", `return redis.call('SMEMBERS', base .. 'paused')`)

export const pauseQueue =
  (db: Db): Service["pauseQueue"] =>
  (queue) =>
    Effect.asVoid(db.write(pause, [queue], Reply.number))

export const resumeQueue =
  (db: Db): Service["resumeQueue"] =>
  (queue) =>
    Effect.asVoid(db.write(resume, [queue], Reply.number))

export const pausedQueues = (db: Db): Service["pausedQueues"] =>
  db.run(paused, [], (reply) => Reply.list(reply).map(Reply.text))
