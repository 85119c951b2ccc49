import type { Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { inBatches } from "./db.js"
import * as Reply from "./reply.js"
import { readRow, toRow } from "./row.js"
import * as Script from "./script.js"

const script = Script.make(
  "get",
  "reads",
  readRow,
  `
local rows = {}
for at = 2, #ARGV do rows[#rows + 1] = readRow(ARGV[at]) end
return rows
`
)

export const get =
  (db: Db): Service["get"] =>
  (ids) =>
    inBatches([...new Set(ids)], (part) => db.run(script, part, (reply) => Reply.lists(reply).map(toRow)))
