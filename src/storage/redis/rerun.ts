import type { Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { inBatches } from "./db.js"
import * as Reply from "./reply.js"
import * as Script from "./script.js"

const script = Script.make(
  "rerun",
  "goesOn",
  Script.jobs,
  `
local function rerun(id)
  local job = load(id)
  if not job then return 'notFound' end
  if not finished[job.state] then return 'unfinished' end
  if job.uniqueKey and redis.call('HSETNX', base .. 'unique', uniqueField(job.name, job.uniqueKey), id) == 0 then
    return 'duplicate'
  end
  local key = base .. 'job:' .. id
  local generation = (redis.call('HGET', key, 'generation') or 1) + 1
  leave(id, job)
  redis.call('HDEL', key, 'owner', 'leaseUntil', 'attempt', 'crashes', 'cancelRequested', 'result', 'failure',
    'progress', 'progressMessage', 'startedAt', 'finishedAt')
  redis.call('HSET', key, 'state', 'pending', 'runAt', now, 'generation', generation, 'token', job.token + 1)
  job.state, job.runAt = 'pending', now
  enter(id, job)
  return 'rerun'
end

local answers = {}
for at = 2, #ARGV do answers[at - 1] = rerun(ARGV[at]) end
close()
return answers
`
)

const answer = Reply.word("rerun", "unfinished", "duplicate", "notFound")

export const rerun =
  (db: Db): Service["rerun"] =>
  (ids) =>
    inBatches(ids, (part) => db.write(script, part, (reply) => Reply.list(reply).map(answer)))
