import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import type { Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { batch } from "./db.js"
import * as Reply from "./reply.js"
import * as Script from "./script.js"

/** Lua: removes the oldest finished jobs of a state, those that ended at or before an instant; answers how many. */
export const dropFinished = `
local function dropFinished(state, until_, limit)
  if limit <= 0 then return 0 end
  local ids = redis.call('ZRANGE', base .. state, '-inf', until_, 'BYSCORE', 'LIMIT', 0, limit)
  for _, id in ipairs(ids) do
    local job = load(id)
    if job then
      drop(id, job)
    else
      redis.call('ZREM', base .. state, id)
      redis.call('ZREM', base .. 'ids', id)
    end
  end
  return #ids
end
`

const script = Script.make(
  "prune",
  "goesOn",
  Script.jobs,
  dropFinished,
  `
local limit, removed = tonumber(ARGV[3]), 0
for at = 4, #ARGV do removed = removed + dropFinished(ARGV[at], now - ARGV[2], limit - removed) end
close()
return removed
`
)

export const prune =
  (db: Db): Service["prune"] =>
  (states, age, limit) => {
    const more = (removed: number): Effect.Effect<number, StorageError> => {
      const wanted = Math.min(2 * batch, limit - removed)
      return wanted <= 0 || states.length === 0
        ? Effect.succeed(removed)
        : Effect.flatMap(db.run(script, [age, wanted, ...states], Reply.number), (count) =>
            count < wanted ? Effect.succeed(removed + count) : more(removed + count)
          )
    }
    return more(0)
  }
