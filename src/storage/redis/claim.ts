import * as Effect from "effect/Effect"
import type { Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import * as Reply from "./reply.js"
import { toClaimed } from "./row.js"
import * as Script from "./script.js"

/**
 * Merges the pending sets of these names and queues by their heads. Each keeps its own order, so the cost depends on the
 * number of sets and of jobs taken, not on how many wait, are scheduled or have finished.
 */
const script = Script.make(
  "claim",
  "goesOn",
  Script.jobs,
  `
-- as text, for Redis would print each number anew
local limit, owner, leaseUntil = tonumber(ARGV[2]), ARGV[3], string.format('%.0f', now + ARGV[4])

local at = 5
local function readList()
  local count = tonumber(ARGV[at])
  at = at + 1
  if count < 0 then return nil end
  local items = {}
  for n = 1, count do items[n] = ARGV[at + n - 1] end
  at = at + count
  return items
end
local names, queues, except = readList(), readList(), readList()

local shut = {}
for _, queue in ipairs(except or {}) do shut[queue] = true end
local function isShut(queue)
  if shut[queue] == nil then shut[queue] = redis.call('SISMEMBER', base .. 'paused', queue) == 1 end
  return shut[queue]
end

local sources, seen = {}, {}
for _, name in ipairs(names) do
  for _, queue in ipairs(queues or redis.call('SMEMBERS', base .. 'queues:' .. name)) do
    local key = pendingKey(queue, name)
    if not seen[key] and not isShut(queue) then
      seen[key] = true
      sources[#sources + 1] = { key = key, name = name, queue = queue, taken = 0, started = 0, read = 0,
        items = {}, at = 1 }
    end
  end
end

local chunk = math.ceil(limit / math.max(1, #sources))
-- makes the next of the set its head; false when there is none
local function advance(source)
  if source.at > #source.items then
    source.items = redis.call('ZRANGE', source.key, source.read, source.read + chunk - 1, 'WITHSCORES')
    source.read = source.read + #source.items / 2
    source.at = 1
  end
  source.member, source.score = source.items[source.at], tonumber(source.items[source.at + 1])
  source.at = source.at + 2
  return source.member ~= nil
end

-- '<' on strings asks the locale
local function byteLess(a, b)
  for n = 1, math.min(#a, #b) do
    local x, y = string.byte(a, n), string.byte(b, n)
    if x ~= y then return x < y end
  end
  return #a < #b
end
local function before(a, b)
  if a.score ~= b.score then return a.score < b.score end
  return byteLess(a.member, b.member)
end

-- the sets by their heads, the best last
local heads = {}
local function line(source)
  local low, high = 1, #heads + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if before(source, heads[middle]) then low = middle + 1 else high = middle end
  end
  table.insert(heads, low, source)
end
if limit > 0 then
  for _, source in ipairs(sources) do
    if advance(source) then line(source) end
  end
end

local function take(source)
  local id = string.sub(source.member, 18)
  local key = base .. 'job:' .. id
  local v = redis.call('HMGET', key, 'state', 'priority', 'payload', 'runAt', 'attempt', 'maxAttempts', 'token',
    'traceparent', 'scheduleId', 'slot', 'enqueuedAt')
  -- a job whose hash is gone must not stop the others
  if v[1] ~= 'pending' then return nil, nil end
  local attempt, token = (v[5] or 0) + 1, (v[7] or 0) + 1
  redis.call('HSET', key, 'state', 'running', 'attempt', v[5] and attempt or '1', 'token', v[7] and token or '1',
    'owner', owner, 'leaseUntil', leaseUntil, 'startedAt', nowText)
  if token > 1 then redis.call('HDEL', key, 'progress', 'progressMessage') end
  return id, { id, source.name, source.queue, v[2], v[3], v[4], attempt, v[6], token, v[8], v[9], v[10], v[11] }
end

local rows, running = {}, {}
while #rows < limit and #heads > 0 do
  local source = table.remove(heads)
  local id, row = take(source)
  source.taken = source.taken + 1
  if row then
    rows[#rows + 1] = row
    source.started = source.started + 1
    push(running, leaseUntil, id)
  end
  if advance(source) then line(source) end
end

send('ZADD', base .. 'running', running, 1000)
for _, source in ipairs(sources) do
  if source.taken > 0 then
    tally('pending', source.queue, -source.taken)
    tally('running', source.queue, source.started)
    redis.call('ZREMRANGEBYRANK', source.key, 0, source.taken - 1)
    forgetIfEmpty(source.key, source)
  end
end
close()
return rows
`
)

const listArgs = (items: ReadonlyArray<string> | undefined): ReadonlyArray<string | number> =>
  items === undefined ? [-1] : [items.length, ...items]

export const claim =
  (db: Db): Service["claim"] =>
  ({ exceptQueues, lease, limit, names, owner, queues }) =>
    limit <= 0 || names.length === 0 || queues?.length === 0
      ? Effect.succeed([])
      : db.run(
          script,
          [
            Math.floor(limit),
            owner,
            Math.ceil(lease),
            ...listArgs(names),
            ...listArgs(queues),
            ...listArgs(exceptQueues)
          ],
          (reply) => Reply.lists(reply).map(toClaimed)
        )
