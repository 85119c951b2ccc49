import * as Effect from "effect/Effect"
import { refusal } from "../../internal/newJob.js"
import type { Fire, Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { inBatches, optional } from "./db.js"
import { insertRuns, runArgs } from "./insert.js"
import * as Reply from "./reply.js"
import { schedules } from "./scheduleRow.js"
import * as Script from "./script.js"

/** Answers the number of new jobs per item, or -1 for a stale one. */
const script = Script.make(
  "fire",
  "adds",
  Script.places,
  insertRuns,
  schedules,
  `
local function isUnfinished(id)
  local state = id and redis.call('HGET', base .. 'job:' .. id, 'state')
  return state == 'scheduled' or state == 'pending' or state == 'running'
end

local function fire(at, till)
  local id, version, slot, nextSlot = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local missed, overlap, disable, count = tonumber(ARGV[at + 4]), ARGV[at + 5], ARGV[at + 6], tonumber(ARGV[at + 7])
  local key = scheduleKey(id)
  local v = redis.call('HMGET', key, 'enabled', 'version', 'next', 'lastJob')
  if v[1] ~= '1' or v[2] ~= version or v[3] ~= slot then return -1 end

  local overlaps = overlap == 'skip' and isUnfinished(v[4])
  local created, fired, last = 0, 0, nil
  if not overlaps then
    local run = at + 9
    local function answered(job, answer)
      if answer == 1 then created = created + 1 end
      if answer == 1 or answer == 2 then
        fired = fired + 1
        last = ARGV[job]
      end
    end
    while run < till do run = insertRun(run, answered) end
  end
  if last then
    redis.call('HSET', key, 'lastJob', last, 'lastFiredAt', now)
    local lastSlot = redis.call('HGET', base .. 'job:' .. last, 'slot')
    if lastSlot then
      redis.call('HSET', key, 'lastSlot', lastSlot)
    else
      redis.call('HDEL', key, 'lastSlot')
    end
  end
  local skipped = missed + count - fired
  redis.call('HINCRBY', key, 'fired', fired)
  redis.call('HINCRBY', key, 'skipped', skipped)
  if skipped > 0 then
    local reason = count == fired and 'missed' or overlaps and 'overlap' or 'duplicate'
    redis.call('HSET', key, 'lastSkipReason', reason)
  end
  if disable ~= '' then
    redis.call('HSET', key, 'enabled', '0', 'disabledReason', string.sub(disable, 2))
    redis.call('HINCRBY', key, 'version', 1)
  end
  setCursor(id, disable == '', nextSlot)
  return created
end

local answers, at, changed = {}, 2, false
while at <= #ARGV do
  local till = at + 9 + ARGV[at + 8]
  local answer = fire(at, till)
  changed = changed or answer >= 0
  answers[#answers + 1] = answer
  at = till
end
closeRuns()
if changed then tellSchedules() end
return answers
`
)

const args = (fire: Fire): ReadonlyArray<string | number> => {
  const runs = runArgs(fire.jobs)
  return [
    fire.schedule,
    fire.version,
    fire.slot,
    fire.next ?? "",
    fire.skipped,
    fire.overlap,
    optional(fire.disable),
    fire.jobs.length,
    runs.length,
    ...runs
  ]
}

export const fire =
  (db: Db): Service["fire"] =>
  (fires) => {
    const refused = refusal(fires.flatMap((one) => one.jobs))
    if (refused !== undefined) return Effect.fail(refused)
    return inBatches(
      fires,
      (part) =>
        db.write(script, part.flatMap(args), (reply) =>
          Reply.list(reply)
            .map(Reply.number)
            .map((jobs) => (jobs < 0 ? { answer: "stale" } : { answer: "fired", jobs }))
        ),
      100
    )
  }
