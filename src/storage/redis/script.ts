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
local nowText = string.format('%.0f', now)
`

export const make = (operation: string, kind: Kind, ...parts: ReadonlyArray<string>): Script => {
  const text = `#!lua${flags[kind]}\n${head}${parts.join("\n")}`
  return { operation, text, sha: createHash("sha1").update(text).digest("hex") }
}

/** Where a pending job stands. */
export const pending = `
local function pendingKey(queue, name) return base .. 'pending:' .. #queue .. ':' .. queue .. ':' .. name end

-- the score is the priority; among equals Redis sorts by the member: 17 digits of due time, then the id
local function pendingMember(runAt, id)
  if runAt < 0 then return string.format('0%016.0f', runAt + 8.64e15) .. id end
  return string.format('1%016.0f', runAt) .. id
end
`

/**
 * Where a job stands besides its hash: `ids` (all, by id), one sorted set for each state but `pending`, and for that one
 * sorted set for each queue and name, which `queues:<name>` lists while it is not empty. Every script that adds or moves
 * a job ends by `tell`, or by `close` where it moved some.
 */
export const places = `
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
${pending}
-- text, for Redis would print each number anew
local function lowFirst(priority) return string.format('%.0f', -priority) end

local function wake(state, runAt)
  if state == 'pending' then woken = true end
  if state == 'scheduled' and (not soonest or runAt < soonest) then soonest = runAt end
end

local function send(command, key, list, size)
  for from = 1, #list, size do redis.call(command, key, unpack(list, from, math.min(from + size - 1, #list))) end
end

-- Workers hear of what is pending now, and of a job that is due later but before all others, or they would sleep past it.
local function tell()
  for field, by in pairs(tallies) do
    if by ~= 0 and redis.call('HINCRBY', base .. 'counts', field, by) <= 0 then
      redis.call('HDEL', base .. 'counts', field)
    end
  end
  if soonest and not woken then
    local first = redis.call('ZRANGE', base .. 'scheduled', 0, 0, 'WITHSCORES')
    woken = first[2] ~= nil and tonumber(first[2]) >= soonest
  end
  if woken then redis.call('PUBLISH', base .. 'wakeups', 'jobs') end
end
`

/** Keeps a job's hash and its places in step. */
export const jobs = `${places}
local finished = { completed = true, failed = true, cancelled = true }

local function push(list, field, value)
  list[#list + 1] = field
  list[#list + 1] = value
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

-- Places in sorted sets are noted first and written at the end, many with one command and in the order of noting: a
-- score, or false to leave.
local places, setOf = {}, {}
local function place(key, member, score)
  local noted = places[key]
  if not noted then
    noted = { members = {}, scores = {} }
    places[key] = noted
  end
  if noted.scores[member] == nil then noted.members[#noted.members + 1] = member end
  noted.scores[member] = score
end

local function seat(id, job, score)
  if job.state == 'pending' then
    local key = pendingKey(job.queue, job.name)
    setOf[key] = job
    place(key, pendingMember(job.runAt, id), score and lowFirst(job.priority))
  else
    place(base .. job.state, id, score)
  end
end

-- 'at' is the end of the lease for a running job, the end of the job for a finished one
local function enter(id, job, at)
  tally(job.state, job.queue, 1)
  seat(id, job, at or job.runAt)
  wake(job.state, job.runAt)
end

local function leave(id, job)
  tally(job.state, job.queue, -1)
  seat(id, job, false)
end

local function forgetIfEmpty(key, set)
  if redis.call('EXISTS', key) == 0 then redis.call('SREM', base .. 'queues:' .. set.name, set.queue) end
end

local function writePlaces()
  for key, noted in pairs(places) do
    local add, remove = {}, {}
    for _, member in ipairs(noted.members) do
      local score = noted.scores[member]
      if score then
        push(add, score, member)
      else
        remove[#remove + 1] = member
      end
    end
    send('ZREM', key, remove, 1000)
    send('ZADD', key, add, 1000)
    local set = setOf[key]
    if set and #add > 0 then redis.call('SADD', base .. 'queues:' .. set.name, set.queue) end
    if set and #add == 0 then forgetIfEmpty(key, set) end
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
  place(base .. 'ids', id, false)
end

local function close()
  writePlaces()
  tell()
end
`
