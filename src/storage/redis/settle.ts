import type { Outcome, Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { inBatches, whole } from "./db.js"
import * as Reply from "./reply.js"
import * as Script from "./script.js"

const script = Script.make(
  "settle",
  "goesOn",
  Script.jobs,
  `
local ends = { complete = 'completed', fail = 'failed', cancel = 'cancelled' }

-- the same outcome again, after a lost reply; a token of 0 was never given to anyone
local function isRepeat(job, to)
  if job.token == 0 or job.state == 'running' then return false end
  if ends[to] then return job.state == ends[to] end
  return job.state == 'scheduled' or job.state == 'pending' or job.state == 'cancelled'
end

local function settle(id, job, to, delay, body)
  local key, runAt = base .. 'job:' .. id, job.runAt
  local state = ends[to]
  if not state and job.cancelRequested then state = 'cancelled' end
  if not state and to ~= 'release' then
    runAt = now + delay
    state = delay > 0 and 'scheduled' or 'pending'
  end
  state = state or 'pending'
  local set = { 'state', state }
  if finished[state] then push(set, 'finishedAt', nowText) end
  if runAt ~= job.runAt then push(set, 'runAt', runAt) end
  if to == 'snooze' or to == 'release' then push(set, 'attempt', math.max(0, job.attempt - 1)) end
  if to == 'retry' or to == 'fail' then push(set, 'failure', body) end
  if to == 'complete' and body ~= '' then push(set, 'result', body) end
  redis.call('HSET', key, unpack(set))
  local del = { 'owner', 'leaseUntil' }
  if to == 'complete' then del[3] = 'failure' end
  redis.call('HDEL', key, unpack(del))
  leave(id, job)
  if finished[state] then freeUniqueKey(job) end
  job.state, job.runAt = state, runAt
  enter(id, job, finished[state] and nowText)
end

local answers = {}
for at = 2, #ARGV, 5 do
  local id, to, answer = ARGV[at], ARGV[at + 2], 0
  local job = load(id)
  if job and job.token == tonumber(ARGV[at + 1]) then
    if job.state == 'running' then
      settle(id, job, to, tonumber(ARGV[at + 3]), ARGV[at + 4])
      answer = 1
    elseif isRepeat(job, to) then
      answer = 1
    end
  end
  answers[#answers + 1] = answer
end
close()
return answers
`
)

/**
 * What most outcomes are, jobs that are completed, spelt out for them: without the edges that others take it is half of the
 * work.
 */
const completing = Script.make(
  "settle",
  "goesOn",
  Script.places,
  `
local left, entered, answers = {}, {}, {}
for at = 2, #ARGV, 3 do
  local id, answer = ARGV[at], 0
  local key = base .. 'job:' .. id
  local v = redis.call('HMGET', key, 'state', 'token', 'queue', 'name', 'uniqueKey')
  -- a token of 0 was never given to anyone
  if v[2] and v[2] ~= '0' and v[2] == ARGV[at + 1] then
    if v[1] == 'running' then
      local result = ARGV[at + 2]
      if result == '' then
        redis.call('HSET', key, 'state', 'completed', 'finishedAt', nowText)
      else
        redis.call('HSET', key, 'state', 'completed', 'finishedAt', nowText, 'result', result)
      end
      redis.call('HDEL', key, 'owner', 'leaseUntil', 'failure')
      if v[5] then redis.call('HDEL', base .. 'unique', uniqueField(v[4], v[5])) end
      tally('running', v[3], -1)
      tally('completed', v[3], 1)
      left[#left + 1] = id
      entered[#entered + 1] = nowText
      entered[#entered + 1] = id
      answer = 1
    elseif v[1] == 'completed' then
      -- the same again, after a lost reply
      answer = 1
    end
  end
  answers[#answers + 1] = answer
end
send('ZREM', base .. 'running', left, 1000)
send('ZADD', base .. 'completed', entered, 1000)
tell()
return answers
`
)

const bodyOf = (outcome: Outcome): string => {
  switch (outcome.to) {
    case "complete":
      return outcome.result ?? ""
    case "retry":
    case "fail":
      return outcome.failure
    default:
      return ""
  }
}

const args = (outcome: Outcome): ReadonlyArray<string | number> => [
  outcome.id,
  outcome.token,
  outcome.to,
  outcome.to === "retry" || outcome.to === "snooze" ? whole(outcome.delay) : 0,
  bodyOf(outcome)
]

const readAnswers = (reply: unknown): ReadonlyArray<boolean> => Reply.list(reply).map((answer) => answer === 1)

export const settle =
  (db: Db): Service["settle"] =>
  (outcomes) =>
    inBatches(outcomes, (part) =>
      part.every(({ to }) => to === "complete")
        ? db.write(
            completing,
            part.flatMap((outcome) => [outcome.id, outcome.token, bodyOf(outcome)]),
            readAnswers
          )
        : db.write(script, part.flatMap(args), readAnswers)
    )
