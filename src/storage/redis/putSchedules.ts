import type { PutSchedule, Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { inBatches, optional } from "./db.js"
import * as Reply from "./reply.js"
import { definition, schedules, toSchedule } from "./scheduleRow.js"
import * as Script from "./script.js"

const script = Script.make(
  "putSchedules",
  "adds",
  schedules,
  `
local columns = { ${definition.map((column) => `'${column}'`).join(", ")} }

local function put(at)
  local id, enabled, nextSlot = ARGV[at], ARGV[at + 11], ARGV[at + 12]
  local key = scheduleKey(id)
  local given = {}
  for n = 1, #columns do given[n] = ARGV[at + n] end
  given[6] = given[6] ~= '' and string.sub(given[6], 2)
  local old = redis.call('HMGET', key, unpack(columns))
  local known = old[1] ~= false
  local changed = not known
  for n = 1, #columns do changed = changed or old[n] ~= given[n] end
  local was = known and redis.call('HGET', key, 'enabled') or false
  if enabled == '' then enabled = was or '1' end
  if not changed and enabled == was then return false end

  local set = { 'enabled', enabled }
  for n = 1, #columns do
    if given[n] then
      set[#set + 1] = columns[n]
      set[#set + 1] = given[n]
    end
  end
  redis.call('HSET', key, unpack(set))
  if not given[6] then redis.call('HDEL', key, 'uniqueKey') end
  if known then
    redis.call('HINCRBY', key, 'version', 1)
    if enabled ~= was then redis.call('HDEL', key, 'disabledReason') end
  else
    redis.call('HSET', key, 'version', 1, 'fired', 0, 'skipped', 0)
    redis.call('ZADD', base .. 'schedules', 0, id)
  end
  local restarts = not known or enabled == '1' and was == '0' or old[7] ~= given[7]
  setCursor(id, enabled == '1', restarts and nextSlot or redis.call('HGET', key, 'next') or '')
  return true
end

local rows, changed = {}, false
for at = 2, #ARGV, 13 do
  changed = put(at) or changed
  rows[#rows + 1] = readSchedule(ARGV[at])
end
if changed then tellSchedules() end
return rows
`
)

const args = (schedule: PutSchedule): ReadonlyArray<string | number> => [
  schedule.id,
  schedule.job,
  schedule.queue,
  schedule.priority,
  schedule.payload,
  schedule.maxAttempts,
  optional(schedule.uniqueKey),
  schedule.recurrence,
  schedule.missed,
  schedule.overlap,
  schedule.jitter,
  schedule.enabled === undefined ? "" : schedule.enabled ? 1 : 0,
  schedule.next ?? ""
]

export const putSchedules =
  (db: Db): Service["putSchedules"] =>
  (items) =>
    inBatches(items, (part) => db.write(script, part.flatMap(args), (reply) => Reply.lists(reply).map(toSchedule)))
