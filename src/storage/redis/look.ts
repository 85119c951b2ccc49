import type { Effect } from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import type { Left } from "../../internal/turns.js"
import type { Db } from "./db.js"
import * as Reply from "./reply.js"
import * as Script from "./script.js"

const script = Script.make(
  "look",
  "reads",
  `
local pending = 0
local counts = redis.call('HGETALL', base .. 'counts')
for at = 1, #counts, 2 do
  if string.sub(counts[at], 1, 8) == 'pending:' then pending = 1 end
end
local first = redis.call('ZRANGE', base .. 'scheduled', 0, 0, 'WITHSCORES')
return { pending, first[2] or '', nowText }
`
)

/** What there is for workers to do, now or later. */
export const look = (db: Db): Effect<Left, StorageError> =>
  db.run(script, [], (reply) => {
    const [pending, due, now] = Reply.list(reply)
    return {
      pending: Reply.number(pending) > 0,
      due: Reply.text(due) === "" ? null : Reply.number(due),
      now: Reply.number(now)
    }
  })
