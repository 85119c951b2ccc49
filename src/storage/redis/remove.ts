import type { Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { inBatches } from "./db.js"
import * as Reply from "./reply.js"
import * as Script from "./script.js"

const script = Script.make(
  "remove",
  "goesOn",
  Script.jobs,
  `
local function remove(id)
  local job = load(id)
  if not job then return 'notFound' end
  if job.state == 'running' then return 'running' end
  drop(id, job)
  return 'removed'
end

local answers = {}
for at = 2, #ARGV do answers[at - 1] = remove(ARGV[at]) end
close()
return answers
`
)

const answer = Reply.word("removed", "running", "notFound")

export const remove =
  (db: Db): Service["remove"] =>
  (ids) =>
    inBatches(ids, (part) => db.write(script, part, (reply) => Reply.list(reply).map(answer)))
