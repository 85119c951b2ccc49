import type { Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { inBatches } from "./db.js"
import * as Reply from "./reply.js"
import { schedules } from "./scheduleRow.js"
import * as Script from "./script.js"

const script = Script.make(
  "enableSchedules",
  "goesOn",
  schedules,
  `
local answers, changed = {}, false
for at = 2, #ARGV, 3 do
  local id, enabled = ARGV[at], ARGV[at + 1]
  local key = scheduleKey(id)
  local was = redis.call('HGET', key, 'enabled')
  if was and was ~= enabled then
    redis.call('HSET', key, 'enabled', enabled)
    redis.call('HDEL', key, 'disabledReason')
    redis.call('HINCRBY', key, 'version', 1)
    setCursor(id, enabled == '1', enabled == '1' and ARGV[at + 2] or redis.call('HGET', key, 'next') or '')
    changed = true
  end
  answers[#answers + 1] = was and 1 or 0
end
if changed then tellSchedules() end
return answers
`
)

export const enableSchedules =
  (db: Db): Service["enableSchedules"] =>
  (changes) =>
    inBatches(changes, (part) =>
      db.write(
        script,
        part.flatMap(({ enabled, id, next }) => [id, enabled ? 1 : 0, next ?? ""]),
        (reply) => Reply.list(reply).map((answer) => answer === 1)
      )
    )
