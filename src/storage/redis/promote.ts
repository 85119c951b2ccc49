import type { Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { batch } from "./db.js"
import * as Reply from "./reply.js"
import * as Script from "./script.js"

const script = Script.make(
  "promote",
  "goesOn",
  Script.jobs,
  `
local limit, promoted = tonumber(ARGV[2]), 0
if limit > 0 then
  for _, id in ipairs(redis.call('ZRANGE', base .. 'scheduled', '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)) do
    local job = load(id)
    if job then
      redis.call('HSET', base .. 'job:' .. id, 'state', 'pending')
      move(id, job, 'pending')
    else
      redis.call('ZREM', base .. 'scheduled', id)
    end
    promoted = promoted + 1
  end
end
local first = redis.call('ZRANGE', base .. 'scheduled', 0, 0, 'WITHSCORES')
close()
return { promoted, first[2] and math.max(0, first[2] - now) or -1 }
`
)

export const promote =
  (db: Db): Service["promote"] =>
  (limit) =>
    db.run(script, [Math.max(0, Math.min(limit, 2 * batch))], (reply) => {
      const [promoted, nextIn] = Reply.list(reply).map(Reply.number)
      return { promoted: promoted ?? 0, nextIn: nextIn === undefined || nextIn < 0 ? undefined : nextIn }
    })
