/** What the scripts share: how one is written, and the Lua that keeps a job's hash and its indexes in step. */
import { createHash } from "node:crypto"

export interface Script {
  /** The operation of the storage seam. */
  readonly operation: string
  readonly text: string
  readonly sha: string
}

/**
 * - `reads`: writes nothing, so it also runs while Redis refuses writes
 * - `adds`: refused as a whole when Redis is out of memory
 * - `goesOn`: runs also then, so that a full Redis can be worked off; what it adds is small
 */
type Kind = "reads" | "adds" | "goesOn"

const flags: { readonly [K in Kind]: string } = { reads: " flags=no-writes", adds: "", goesOn: " flags=allow-oom" }

// every key begins with KEYS[1], whose braces put them all into one slot; ARGV[1] is Effect's time, or empty
const head = `
local base = KEYS[1]
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
`

export const make = (operation: string, kind: Kind, ...parts: ReadonlyArray<string>): Script => {
  const text = `#!lua${flags[kind]}\n${head}${parts.join("\n")}`
  return { operation, text, sha: createHash("sha1").update(text).digest("hex") }
}

/**
 * Where a job stands besides its hash: `ids` (all, by id), one sorted set for each state but `pending`, and for that one
 * sorted set for each queue and name, which `queues:<name>` lists while it is not empty.
 */
export const jobs = `
local finished = { completed = true, failed = true, cancelled = true }
local tallies, woken, soonest = {}, false, nil

local function tally(state, queue, by)
  local field = state .. ':' .. queue
  tallies[field] = (tallies[field] or 0) + by
end

local function dueAt(due)
  -- '+n' is a delay, anything else an instant
  if string.byte(due) == 43 then return now + tonumber(due) end
  return tonumber(due)
end

local function uniqueField(name, key) return #name .. ':' .. name .. ':' .. key end

local function pendingKey(queue, name) return base .. 'pending:' .. #queue .. ':' .. queue .. ':' .. name end

-- the score is the priority; among equals Redis sorts by the member: 17 digits of due time, then the id
local function pendingMember(runAt, id)
  if runAt < 0 then return string.format('0%016.0f', runAt + 8.64e15) .. id end
  return string.format('1%016.0f', runAt) .. id
end

local function load(id)
  local v = redis.call('HMGET', base .. 'job:' .. id, 'state', 'queue', 'name', 'priority', 'runAt', 'token', 'attempt',
    'maxAttempts', 'crashes', 'cancelRequested', 'uniqueKey')
  if not v[1] or not v[2] or not v[3] then return nil end
  return {
    state = v[1], queue = v[2], name = v[3], priority = tonumber(v[4]), runAt = tonumber(v[5]),
    token = tonumber(v[6] or 0), attempt = tonumber(v[7] or 0), maxAttempts = tonumber(v[8]),
    crashes = tonumber(v[9] or 0), cancelRequested = v[10], uniqueKey = v[11]
  }
end

-- 'at' is the end of the lease for a running job, the end of the job for a finished one
local function enter(id, job, at)
  tally(job.state, job.queue, 1)
  if job.state == 'pending' then
    redis.call('ZADD', pendingKey(job.queue, job.name), -job.priority, pendingMember(job.runAt, id))
    redis.call('SADD', base .. 'queues:' .. job.name, job.queue)
    woken = true
  elseif job.state == 'scheduled' then
    redis.call('ZADD', base .. 'scheduled', job.runAt, id)
    if not soonest or job.runAt < soonest then soonest = job.runAt end
  else
    redis.call('ZADD', base .. job.state, at, id)
  end
end

local function forgetIfEmpty(key, queue, name)
  if redis.call('EXISTS', key) == 0 then redis.call('SREM', base .. 'queues:' .. name, queue) end
end

local function leave(id, job)
  tally(job.state, job.queue, -1)
  if job.state == 'pending' then
    local key = pendingKey(job.queue, job.name)
    redis.call('ZREM', key, pendingMember(job.runAt, id))
    forgetIfEmpty(key, job.queue, job.name)
  else
    redis.call('ZREM', base .. job.state, id)
  end
end

local function freeUniqueKey(job)
  if job.uniqueKey and not finished[job.state] then
    redis.call('HDEL', base .. 'unique', uniqueField(job.name, job.uniqueKey))
  end
end

local function move(id, job, state, at)
  leave(id, job)
  if finished[state] then freeUniqueKey(job) end
  job.state = state
  enter(id, job, at)
end

local function drop(id, job)
  leave(id, job)
  freeUniqueKey(job)
  redis.call('UNLINK', base .. 'job:' .. id)
  redis.call('ZREM', base .. 'ids', id)
end

local function publish(wakeup) redis.call('PUBLISH', base .. 'wakeups', wakeup) end

-- every script that moved a job ends with this
local function close()
  for field, by in pairs(tallies) do
    if by ~= 0 and redis.call('HINCRBY', base .. 'counts', field, by) <= 0 then
      redis.call('HDEL', base .. 'counts', field)
    end
  end
  if woken then publish('jobs') end
end

-- the same, and workers also hear of a job that is due later but before all others, or they would sleep past it
local function closeAndTellSoonest()
  if soonest and not woken then
    local first = redis.call('ZRANGE', base .. 'scheduled', 0, 0, 'WITHSCORES')
    woken = first[2] ~= nil and tonumber(first[2]) >= soonest
  end
  close()
end
`
