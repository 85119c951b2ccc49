import type { Service } from "../../JobStorage.js"
import * as Effect from "effect/Effect"
import type { Db } from "./db.js"
import { inBatches } from "./db.js"
import * as Reply from "./reply.js"
import { schedules, toSchedule } from "./scheduleRow.js"
import * as Script from "./script.js"

const get = Script.make(
  "getSchedules",
  "reads",
  schedules,
  `
local rows = {}
for at = 2, #ARGV do rows[#rows + 1] = readSchedule(ARGV[at]) end
return rows
`
)

const list = Script.make(
  "listSchedules",
  "reads",
  schedules,
  `
local rows = {}
for _, id in ipairs(redis.call('ZRANGE', base .. 'schedules', ARGV[2], '+', 'BYLEX', 'LIMIT', 0, ARGV[3])) do
  rows[#rows + 1] = readSchedule(id)
end
return rows
`
)

const due = Script.make(
  "dueSchedules",
  "reads",
  schedules,
  `
local rows = {}
for _, id in ipairs(redis.call('ZRANGE', base .. 'cursors', '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[2])) do
  rows[#rows + 1] = readSchedule(id)
end
local later = redis.call('ZRANGE', base .. 'cursors', '(' .. string.format('%.0f', now), '+inf', 'BYSCORE',
  'LIMIT', 0, 1, 'WITHSCORES')
return { string.format('%.0f', now), later[2] or false, rows }
`
)

export const getSchedules =
  (db: Db): Service["getSchedules"] =>
  (ids) =>
    inBatches([...new Set(ids)], (part) => db.run(get, part, (reply) => Reply.lists(reply).map(toSchedule)))

export const listSchedules =
  (db: Db): Service["listSchedules"] =>
  ({ after, limit }) =>
    limit <= 0
      ? Effect.succeed([])
      : db.run(list, [after === undefined ? "-" : `(${after}`, limit], (reply) => Reply.lists(reply).map(toSchedule))

export const dueSchedules =
  (db: Db): Service["dueSchedules"] =>
  (limit) =>
    db.run(due, [Math.max(0, limit)], (reply) => {
      const [nowText, laterText, rows] = Reply.list(reply)
      const now = Reply.number(nowText)
      const later = Reply.numberOrNull(laterText)
      return { now, due: Reply.lists(rows).map(toSchedule), nextIn: later === null ? undefined : later - now }
    })
