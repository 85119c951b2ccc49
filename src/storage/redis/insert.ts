import * as Effect from "effect/Effect"
import { refusal } from "../../internal/newJob.js"
import type { Due, Inserted, NewJob, Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { inBatches, whole } from "./db.js"
import { fits, insertOne } from "./insertOne.js"
import * as Reply from "./reply.js"
import * as Script from "./script.js"

/** So many jobs in one script took about 0.1 s of Redis on two busy cores: no more, for nobody else is answered meanwhile. */
export const atomicInsert = 10_000

/**
 * Lua: inserts runs of jobs that differ in id, payload and unique key only, as `runArgs` writes them. What a run has in
 * common is worked out once, and places in sorted sets are noted and written at the end.
 *
 * `insertRun` answers where the run's arguments end, and calls `answered` with the place of each job and 1 for a new row, 2
 * for one that was there, 3 for an id of another name, or the id of the job that holds the unique key.
 */
export const insertRuns = `
local newPlaces = {}

local function placesIn(key, name, queue)
  local noted = newPlaces[key]
  if not noted then
    noted = { name = name, queue = queue }
    newPlaces[key] = noted
  end
  return noted
end

local function insertRun(at, answered)
  local count, width, name, queue, priority = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local runAt, rest = dueAt(ARGV[at + 5]), at + 8
  local first = rest + ARGV[at + 7]
  local pending = runAt <= now
  local state, runAtText = pending and 'pending' or 'scheduled', string.format('%.0f', runAt)
  local row = { 'name', name, 'queue', queue, 'state', state, 'priority', priority, 'runAt', runAtText,
    'maxAttempts', ARGV[at + 6], 'enqueuedAt', nowText }
  for n = rest, first - 1 do row[#row + 1] = ARGV[n] end
  local size = #row
  row[size + 1] = 'payload'

  local key = pending and pendingKey(queue, name) or base .. 'scheduled'
  local noted = placesIn(key, pending and name, queue)
  local prefix = pending and pendingMember(runAt, '') or ''
  local score = pending and lowFirst(tonumber(priority)) or runAtText
  local added, jobs, ids = 0, base .. 'job:', base .. 'ids'

  for n = first, first + (count - 1) * width, width do
    local id, uniqueKey = ARGV[n], width == 3 and ARGV[n + 2]
    local answer, known = 1, nil
    if redis.call('ZADD', ids, 'NX', '0', id) == 0 then known = redis.call('HGET', jobs .. id, 'name') end
    if known then
      answer = known == name and 2 or 3
    elseif uniqueKey then
      local field = uniqueField(name, uniqueKey)
      local holder = redis.call('HGET', base .. 'unique', field)
      if holder then
        redis.call('ZREM', ids, id)
        answer = holder
      else
        redis.call('HSET', base .. 'unique', field, id)
        redis.call('HSET', jobs .. id, 'uniqueKey', uniqueKey)
      end
    end
    if answer == 1 then
      row[size + 2] = ARGV[n + 1]
      redis.call('HSET', jobs .. id, unpack(row))
      added = added + 1
      noted[#noted + 1] = score
      noted[#noted + 1] = prefix .. id
    end
    answered(n, answer)
  end
  if added > 0 then
    tally(state, queue, added)
    wake(state, runAt)
  end
  return first + count * width
end

local function closeRuns()
  for key, noted in pairs(newPlaces) do
    send('ZADD', key, noted, 1000)
    if noted.name and #noted > 0 then redis.call('SADD', base .. 'queues:' .. noted.name, noted.queue) end
  end
  tell()
end
`

/** Answers for those jobs only that are not new: the place of each and its answer. */
const script = Script.make(
  "insert",
  "adds",
  Script.places,
  insertRuns,
  `
local answers, at, place = {}, 2, -1
local function answered(_, answer)
  place = place + 1
  if answer ~= 1 then
    answers[#answers + 1] = place
    answers[#answers + 1] = answer
  end
end
while at <= #ARGV do at = insertRun(at, answered) end
closeRuns()
return answers
`
)

export const dueArg = (due: Due): string => ("delay" in due ? `+${whole(due.delay)}` : String(Math.ceil(due.runAt)))

/** Fields that an ordinary job does not have. */
const restOf = (job: NewJob): ReadonlyArray<string | number> => {
  const rest: Array<string | number> = []
  if (job.tags.length > 0) rest.push("tags", JSON.stringify(job.tags))
  if (job.traceparent !== null) rest.push("traceparent", job.traceparent)
  if (job.scheduleId !== null) rest.push("scheduleId", job.scheduleId)
  if (job.slot !== null) rest.push("slot", job.slot)
  return rest
}

const sameDue = (a: Due, b: Due): boolean =>
  "delay" in a ? "delay" in b && a.delay === b.delay : "runAt" in b && a.runAt === b.runAt

const sameTags = (a: NewJob["tags"], b: NewJob["tags"]): boolean =>
  a === b || (a.length === b.length && a.every((tag, at) => tag === b[at]))

const alike = (a: NewJob, b: NewJob): boolean =>
  a.name === b.name &&
  a.queue === b.queue &&
  a.priority === b.priority &&
  a.maxAttempts === b.maxAttempts &&
  a.traceparent === b.traceparent &&
  a.scheduleId === b.scheduleId &&
  a.slot === b.slot &&
  (a.uniqueKey === null) === (b.uniqueKey === null) &&
  sameDue(a.due, b.due) &&
  sameTags(a.tags, b.tags)

/** The arguments of these jobs, run by run: what each run has in common, then id and payload, and unique key, of each. */
export const runArgs = (jobs: ReadonlyArray<NewJob>): ReadonlyArray<string | number> => {
  const args: Array<string | number> = []
  let from = 0
  let first = jobs[0]
  while (first !== undefined) {
    let next = jobs[from + 1]
    let until = from + 1
    while (next !== undefined && alike(first, next)) next = jobs[++until]
    const rest = restOf(first)
    args.push(until - from, first.uniqueKey === null ? 2 : 3, first.name, first.queue, first.priority)
    args.push(dueArg(first.due), first.maxAttempts, rest.length, ...rest)
    for (; from < until; from++) {
      const job = jobs[from]
      if (job === undefined) break
      args.push(job.id, job.payload)
      if (job.uniqueKey !== null) args.push(job.uniqueKey)
    }
    first = next
  }
  return args
}

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

const readAnswers = (jobs: ReadonlyArray<NewJob>, reply: unknown): ReadonlyArray<Inserted> => {
  const flat = Reply.list(reply)
  const answers = new Map<number, unknown>()
  for (let at = 0; at < flat.length; at += 2) answers.set(Reply.number(flat[at]), flat[at + 1])
  return jobs.map((job, at) => toInserted(job, answers.get(at) ?? 1))
}

export const insert =
  (db: Db): Service["insert"] =>
  (jobs) => {
    const refused = refusal(jobs)
    if (refused !== undefined) return Effect.fail(refused)
    const [first, second] = jobs
    return first !== undefined && second === undefined && fits(first)
      ? insertOne(db, first, restOf(first), (answer) => [toInserted(first, answer)])
      : inBatches(jobs, (part) => db.write(script, runArgs(part), (reply) => readAnswers(part, reply)), atomicInsert)
  }
