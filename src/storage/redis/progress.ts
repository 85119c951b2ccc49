import type { Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { optional } from "./db.js"
import * as Script from "./script.js"

const script = Script.make(
  "progress",
  "goesOn",
  `
local key = base .. 'job:' .. ARGV[2]
local v = redis.call('HMGET', key, 'state', 'token')
if v[1] ~= 'running' or tonumber(v[2]) ~= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', key, 'progress', ARGV[4])
if ARGV[5] == '' then
  redis.call('HDEL', key, 'progressMessage')
else
  redis.call('HSET', key, 'progressMessage', string.sub(ARGV[5], 2))
end
return 1
`
)

export const progress =
  (db: Db): Service["progress"] =>
  ({ id, token }, value, message) =>
    db.run(script, [id, token, value, optional(message)], (reply) => reply === 1)
