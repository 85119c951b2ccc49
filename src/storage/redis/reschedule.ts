import type { Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { inBatches } from "./db.js"
import { dueArg } from "./insert.js"
import * as Reply from "./reply.js"
import * as Script from "./script.js"

const script = Script.make(
  "reschedule",
  "goesOn",
  Script.jobs,
  `
local runAt = dueAt(ARGV[2])
local state = runAt <= now and 'pending' or 'scheduled'

local function reschedule(id)
  local job = load(id)
  if not job then return 'notFound' end
  if job.state == 'running' then return 'running' end
  if finished[job.state] then return 'finished' end
  redis.call('HSET', base .. 'job:' .. id, 'state', state, 'runAt', runAt)
  leave(id, job)
  job.state, job.runAt = state, runAt
  enter(id, job)
  return 'rescheduled'
end

local answers = {}
for at = 3, #ARGV do answers[at - 2] = reschedule(ARGV[at]) end
close()
return answers
`
)

const answer = Reply.word("rescheduled", "running", "finished", "notFound")

export const reschedule =
  (db: Db): Service["reschedule"] =>
  (ids, due) =>
    inBatches(ids, (part) => db.write(script, [dueArg(due), ...part], (reply) => Reply.list(reply).map(answer)))
