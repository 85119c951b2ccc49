import type { Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { inBatches } from "./db.js"
import * as Reply from "./reply.js"
import * as Script from "./script.js"

const script = Script.make(
  "removeSchedules",
  "goesOn",
  `
local answers = {}
for at = 2, #ARGV do
  local id = ARGV[at]
  answers[at - 1] = redis.call('DEL', base .. 'schedule:' .. id)
  redis.call('ZREM', base .. 'schedules', id)
  redis.call('ZREM', base .. 'cursors', id)
end
return answers
`
)

export const removeSchedules =
  (db: Db): Service["removeSchedules"] =>
  (ids) =>
    inBatches(ids, (part) => db.write(script, part, (reply) => Reply.list(reply).map((answer) => answer === 1)))
