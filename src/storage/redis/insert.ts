import * as Effect from "effect/Effect"
import { refusal } from "../../internal/newJob.js"
import type { Due, Inserted, NewJob, Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { inBatches, optional, whole } from "./db.js"
import * as Reply from "./reply.js"
import * as Script from "./script.js"

/** So many jobs in one script took about 0.2 s of Redis on two busy cores: no more, for nobody else is answered meanwhile. */
export const atomicInsert = 10_000

/** How many arguments `jobArgs` makes of a job. */
export const stride = 12

/**
 * Lua: inserts the job whose arguments begin at this place. Answers 1 for a new row, 2 for one that was there, 3 for an
 * id of another name, or the id of the job that holds the unique key.
 */
export const insertJob = `
local function insertJob(at)
  local id, name, queue, key = ARGV[at], ARGV[at + 1], ARGV[at + 2], base .. 'job:' .. ARGV[at]
  local known = redis.call('HGET', key, 'name')
  if known then return known == name and 2 or 3 end
  local uniqueKey = ARGV[at + 7] ~= '' and string.sub(ARGV[at + 7], 2)
  if uniqueKey then
    local field = uniqueField(name, uniqueKey)
    local holder = redis.call('HGET', base .. 'unique', field)
    if holder then return holder end
    redis.call('HSET', base .. 'unique', field, id)
  end
  local runAt = dueAt(ARGV[at + 5])
  local state = runAt <= now and 'pending' or 'scheduled'
  local row = { 'name', name, 'queue', queue, 'state', state, 'priority', ARGV[at + 3], 'payload', ARGV[at + 4],
    'runAt', runAt == now and nowText or runAt, 'maxAttempts', ARGV[at + 6], 'enqueuedAt', nowText }
  if uniqueKey then push(row, 'uniqueKey', uniqueKey) end
  if ARGV[at + 8] ~= '[]' then push(row, 'tags', ARGV[at + 8]) end
  if ARGV[at + 9] ~= '' then push(row, 'traceparent', string.sub(ARGV[at + 9], 2)) end
  if ARGV[at + 10] ~= '' then push(row, 'scheduleId', string.sub(ARGV[at + 10], 2)) end
  if ARGV[at + 11] ~= '' then push(row, 'slot', ARGV[at + 11]) end
  redis.call('HSET', key, unpack(row))
  place(base .. 'ids', id, '0')
  enter(id, { state = state, queue = queue, name = name, priority = tonumber(ARGV[at + 3]), runAt = runAt })
  return 1
end
`

const script = Script.make(
  "insert",
  "adds",
  Script.jobs,
  insertJob,
  `
local answers = {}
for at = 2, #ARGV, ${stride} do answers[#answers + 1] = insertJob(at) end
close()
return answers
`
)

export const dueArg = (due: Due): string => ("delay" in due ? `+${whole(due.delay)}` : String(Math.ceil(due.runAt)))

export const jobArgs = (job: NewJob): ReadonlyArray<string | number> => [
  job.id,
  job.name,
  job.queue,
  job.priority,
  job.payload,
  dueArg(job.due),
  job.maxAttempts,
  optional(job.uniqueKey),
  job.tags.length === 0 ? "[]" : JSON.stringify(job.tags),
  optional(job.traceparent),
  optional(job.scheduleId),
  job.slot ?? ""
]

const toInserted = ({ id }: NewJob, answer: unknown): Inserted => {
  switch (answer) {
    case 1:
      return { id, answer: "inserted", created: true }
    case 2:
      return { id, answer: "inserted", created: false }
    case 3:
      return { id, answer: "conflict", created: false }
    default:
      return { id: Reply.text(answer), answer: "duplicate", created: false }
  }
}

export const insert =
  (db: Db): Service["insert"] =>
  (jobs) => {
    const refused = refusal(jobs)
    if (refused !== undefined) return Effect.fail(refused)
    return inBatches(
      jobs,
      (part) =>
        db.write(script, part.flatMap(jobArgs), (reply) => {
          const answers = Reply.list(reply)
          return part.map((job, at) => toInserted(job, answers[at]))
        }),
      atomicInsert
    )
  }
