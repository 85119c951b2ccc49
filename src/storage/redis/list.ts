import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import type { JobRow, Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import * as Reply from "./reply.js"
import { readRow, toRow } from "./row.js"
import * as Script from "./script.js"

/** So many ids one script looks at: a rare filter costs many short scripts rather than a long one. */
const scanned = 1_000

/** Answers the matching rows among the next ids, the last id it looked at before them, empty at the end. */
const script = Script.make(
  "list",
  "reads",
  readRow,
  `
local limit, scan = tonumber(ARGV[3]), tonumber(ARGV[4])
local from, till, tag = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7] ~= '' and ARGV[7]

local at = 8
local function readSet()
  local count = tonumber(ARGV[at])
  at = at + 1
  if count < 0 then return nil end
  local set = {}
  for n = at, at + count - 1 do set[ARGV[n]] = true end
  at = at + count
  return set
end
local states, queues, names = readSet(), readSet(), readSet()

local function matches(id)
  local v = redis.call('HMGET', base .. 'job:' .. id, 'state', 'queue', 'name', 'enqueuedAt', 'tags')
  if not v[1] or not v[2] or not v[3] then return false end
  if states and not states[v[1]] or queues and not queues[v[2]] or names and not names[v[3]] then return false end
  if from and tonumber(v[4]) < from or till and tonumber(v[4]) >= till then return false end
  -- a tag in quotes may also match where one tag ends and the next begins; the reader looks again
  return not tag or v[5] and string.find(v[5], tag, 1, true) ~= nil
end

local reply, last, looked = { '' }, '', 0
for _, id in ipairs(redis.call('ZRANGE', base .. 'ids', ARGV[2], '+', 'BYLEX', 'LIMIT', 0, scan)) do
  if #reply > limit then break end
  looked = looked + 1
  last = id
  if matches(id) then reply[#reply + 1] = readRow(id) end
end
if #reply > limit or looked == scan then reply[1] = last end
return reply
`
)

const setArgs = (items: ReadonlyArray<string> | undefined): ReadonlyArray<string | number> =>
  items === undefined ? [-1] : [items.length, ...items]

export const list =
  (db: Db): Service["list"] =>
  ({ after, filter, limit }) => {
    const { from, names, queues, states, tag, until } = filter
    if (limit <= 0 || states?.length === 0 || queues?.length === 0 || names?.length === 0) return Effect.succeed([])
    const narrow = [
      from === undefined ? "" : Math.ceil(from),
      until === undefined ? "" : Math.ceil(until),
      tag === undefined ? "" : JSON.stringify(tag),
      ...setArgs(states),
      ...setArgs(queues),
      ...setArgs(names)
    ]
    const more = (
      found: ReadonlyArray<JobRow>,
      cursor: string | undefined
    ): Effect.Effect<ReadonlyArray<JobRow>, StorageError> =>
      Effect.flatMap(
        db.run(
          script,
          [cursor === undefined ? "-" : `(${cursor}`, limit - found.length, scanned, ...narrow],
          (reply) => {
            const [last, ...rows] = Reply.list(reply)
            return { last: Reply.text(last), rows: rows.map((row) => toRow(Reply.list(row))) }
          }
        ),
        ({ last, rows }) => {
          const all = [...found, ...(tag === undefined ? rows : rows.filter((row) => row.tags.includes(tag)))]
          return last === "" || all.length >= limit ? Effect.succeed(all) : more(all, last)
        }
      )
    return more([], after)
  }
