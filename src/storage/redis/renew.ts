import type { Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { inBatches } from "./db.js"
import * as Reply from "./reply.js"
import * as Script from "./script.js"

const script = Script.make(
  "renew",
  "goesOn",
  `
local leaseUntil, answers = now + ARGV[2], {}
for at = 3, #ARGV, 2 do
  local id, answer = ARGV[at], 'lost'
  local v = redis.call('HMGET', base .. 'job:' .. id, 'state', 'token', 'cancelRequested')
  if v[1] == 'running' and tonumber(v[2]) == tonumber(ARGV[at + 1]) then
    redis.call('HSET', base .. 'job:' .. id, 'leaseUntil', leaseUntil)
    redis.call('ZADD', base .. 'running', leaseUntil, id)
    answer = v[3] and 'cancelRequested' or 'held'
  end
  answers[#answers + 1] = answer
end
return answers
`
)

const answer = Reply.word("held", "lost", "cancelRequested")

export const renew =
  (db: Db): Service["renew"] =>
  (holds, lease) =>
    inBatches(holds, (part) =>
      db.run(script, [Math.ceil(lease), ...part.flatMap(({ id, token }) => [id, token])], (reply) =>
        Reply.list(reply).map(answer)
      )
    )
