import type { Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { inBatches } from "./db.js"
import * as Reply from "./reply.js"
import * as Script from "./script.js"

const script = Script.make(
  "cancel",
  "goesOn",
  Script.jobs,
  `
local function cancel(id)
  local job = load(id)
  if not job then return 'notFound' end
  -- also the repeat of a cancellation whose reply was lost
  if job.state == 'cancelled' then return 'cancelled' end
  if finished[job.state] then return 'finished' end
  local key = base .. 'job:' .. id
  if job.state == 'running' then
    redis.call('HSET', key, 'cancelRequested', 1)
    return 'requested'
  end
  redis.call('HSET', key, 'state', 'cancelled', 'token', job.token + 1, 'finishedAt', now)
  move(id, job, 'cancelled', now)
  return 'cancelled'
end

local answers = {}
for at = 2, #ARGV do answers[at - 1] = cancel(ARGV[at]) end
close()
return answers
`
)

const answer = Reply.word("cancelled", "requested", "finished", "notFound")

export const cancel =
  (db: Db): Service["cancel"] =>
  (ids) =>
    inBatches(ids, (part) => db.write(script, part, (reply) => Reply.list(reply).map(answer)))
