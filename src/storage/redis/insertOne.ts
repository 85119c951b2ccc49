/**
 * The usual lone enqueue: one job, due at once, without a unique key. It does what `insertRuns` does for many, spelt out for
 * one: the closures and tables that many need took a third of the script's time.
 */
import type { Effect } from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import type { NewJob } from "../../JobStorage.js"
import type { Db } from "./db.js"
import * as Script from "./script.js"

/** Answers 1 for a new row, 2 for one that was there, 3 for an id of another name. */
const script = Script.make(
  "insert",
  "adds",
  Script.pending,
  `
local id, name, queue = ARGV[2], ARGV[3], ARGV[4]
local job = base .. 'job:' .. id
if redis.call('ZADD', base .. 'ids', 'NX', '0', id) == 0 then
  local known = redis.call('HGET', job, 'name')
  if known then return known == name and 2 or 3 end
end
redis.call('HSET', job, 'name', name, 'queue', queue, 'state', 'pending', 'priority', ARGV[6], 'runAt', nowText,
  'maxAttempts', ARGV[7], 'enqueuedAt', nowText, 'payload', ARGV[8], unpack(ARGV, 9))
redis.call('ZADD', pendingKey(queue, name), ARGV[5], pendingMember(now, id))
redis.call('SADD', base .. 'queues:' .. name, queue)
redis.call('HINCRBY', base .. 'counts', 'pending:' .. queue, '1')
redis.call('PUBLISH', base .. 'wakeups', 'jobs')
return 1
`
)

export const fits = ({ due, uniqueKey }: NewJob): boolean => uniqueKey === null && "delay" in due && due.delay === 0

/** `rest`: fields and values that an ordinary job does not have. */
export const insertOne = <A>(
  db: Db,
  { id, maxAttempts, name, payload, priority, queue }: NewJob,
  rest: ReadonlyArray<string | number>,
  read: (answer: unknown) => A
): Effect<A, StorageError> =>
  db.write(
    script,
    // the score, then what goes into the hash
    [id, name, queue, -priority, priority, maxAttempts, payload, ...rest],
    read
  )
