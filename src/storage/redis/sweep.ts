import type { Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { batch } from "./db.js"
import { dropFinished } from "./prune.js"
import * as Reply from "./reply.js"
import * as Script from "./script.js"

const script = Script.make(
  "sweep",
  "goesOn",
  Script.jobs,
  dropFinished,
  `
local limit, crashLimit, crashFailure = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local rescued, ended, removed = 0, 0, 0
local expired = limit > 0 and redis.call('ZRANGE', base .. 'running', '-inf', now, 'BYSCORE', 'LIMIT', 0, limit) or {}
for _, id in ipairs(expired) do
  local job = load(id)
  if not job then
    redis.call('ZREM', base .. 'running', id)
  else
    local key, state, crashes = base .. 'job:' .. id, 'pending', job.crashes + 1
    if job.cancelRequested then
      state = 'cancelled'
    elseif job.attempt >= job.maxAttempts or crashes >= crashLimit then
      state = 'failed'
      redis.call('HSET', key, 'failure', crashFailure)
    end
    redis.call('HSET', key, 'state', state, 'token', job.token + 1, 'crashes', crashes)
    redis.call('HDEL', key, 'owner', 'leaseUntil')
    if finished[state] then
      redis.call('HSET', key, 'finishedAt', now)
      ended = ended + 1
    else
      rescued = rescued + 1
    end
    move(id, job, state, now)
  end
end
for n, state in ipairs({ 'completed', 'failed', 'cancelled' }) do
  local keep = tonumber(ARGV[4 + n])
  if keep then removed = removed + dropFinished(state, now - keep, limit - removed) end
end
close()
return { rescued, ended, removed }
`
)

export const sweep =
  (db: Db): Service["sweep"] =>
  ({ crashFailure, crashLimit, limit, retention: { cancelled, completed, failed } }) =>
    db.run(
      script,
      [Math.min(limit, 2 * batch), crashLimit, crashFailure, completed ?? "", failed ?? "", cancelled ?? ""],
      (reply) => {
        const [rescued = 0, ended = 0, removed = 0] = Reply.list(reply).map(Reply.number)
        return { rescued, ended, removed }
      }
    )
