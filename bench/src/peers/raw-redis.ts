/** No library: ioredis and three scripts, each atomic, as a queue on Redis needs them. */
import { chunks, lanes, type Payload, type Peer, priorityOf } from "../peer.js"

const batch = 100
const pollMs = 1

/** KEYS: ready set, later set, finished set, counter. ARGV: key prefix, due time or 0, then payload and priority in turn. */
const insert = `
  for i = 3, #ARGV, 2 do
    local id = redis.call('INCR', KEYS[4])
    redis.call('HSET', ARGV[1] .. id, 'payload', ARGV[i], 'priority', ARGV[i + 1], 'state', 'pending')
    if ARGV[2] == '0' then
      redis.call('ZADD', KEYS[1], -ARGV[i + 1] * 4294967296 + id, id)
    else
      redis.call('ZADD', KEYS[2], ARGV[2], id)
    end
  end
  return #ARGV`

/** Completes the ids given and claims the next. KEYS: ready, running, finished. ARGV: key prefix, time, then ids. */
const turn = `
  for i = 3, #ARGV do
    redis.call('HSET', ARGV[1] .. ARGV[i], 'state', 'completed', 'finished', ARGV[2])
    redis.call('ZREM', KEYS[2], ARGV[i])
    redis.call('ZADD', KEYS[3], ARGV[2], ARGV[i])
  end
  local claimed = redis.call('ZPOPMIN', KEYS[1], ${batch})
  local found = {}
  for i = 1, #claimed, 2 do
    local key = ARGV[1] .. claimed[i]
    redis.call('HSET', key, 'state', 'running', 'started', ARGV[2])
    redis.call('ZADD', KEYS[2], ARGV[2] + 30000, claimed[i])
    found[#found + 1] = claimed[i]
    found[#found + 1] = redis.call('HGET', key, 'payload')
  end
  return found`

export const rawRedis: Peer = {
  name: "raw-redis",
  store: "redis",
  settings: `ioredis alone; completes and claims ${batch} at once in one script, polls every ${pollMs} ms`,
  finishedRows: "kept",
  durability: "as the Redis server has it",
  priorities: true,
  retries: false,
  against: "dbjobq-redis",
  open: async (place) => {
    const { Redis } = await import("ioredis")
    const client = new Redis(place.url, {
      scripts: { rawInsert: { lua: insert, numberOfKeys: 4 }, rawTurn: { lua: turn, numberOfKeys: 3 } }
    })
    client.on("error", () => {})
    const key = (name: string, of: string) => `${place.prefix}:${name}:${of}`
    const run = async (script: string, ...args: ReadonlyArray<string | number>): Promise<unknown> => {
      const command: unknown = Reflect.get(client, script)
      if (typeof command !== "function") throw new Error(`no script ${script}`)
      return Reflect.apply(command, client, args)
    }
    const keys = (name: string) => ["ready", "later", "done", "id"].map((of) => key(name, of))
    const add = (name: string, due: number, jobs: ReadonlyArray<string | number>) =>
      run("rawInsert", ...keys(name), key(name, "job:"), due, ...jobs)
    const sizes = async () => ({
      completed: await client.zcard(key("bench", "done")),
      failed: 0,
      unfinished: (await client.zcard(key("bench", "ready"))) + (await client.zcard(key("bench", "running")))
    })
    return {
      addEach: (payloads, inFlight) =>
        lanes(payloads, inFlight, (payload) => add("bench", 0, [JSON.stringify(payload), 0])),
      addAll: async (jobs) => {
        const due = jobs.delaySeconds > 0 ? Date.now() + jobs.delaySeconds * 1_000 : 0
        for (const part of chunks(jobs.payloads, 1_000)) {
          await add(
            jobs.name,
            due,
            part.flatMap((payload) => [JSON.stringify(payload), priorityOf(jobs, payload)])
          )
        }
      },
      work: async ({ handler }) => {
        let running = true
        const loop = async () => {
          let done: ReadonlyArray<string> = []
          while (running || done.length > 0) {
            const of = ["ready", "running", "done"].map((set) => key("bench", set))
            const found = await run("rawTurn", ...of, key("bench", "job:"), Date.now(), ...done)
            const ids: Array<string> = []
            for (const [index, value] of (Array.isArray(found) ? found : []).entries()) {
              if (index % 2 === 0) ids.push(String(value))
              else {
                const { n }: Payload = JSON.parse(String(value))
                handler(n)
              }
            }
            done = ids
            if (ids.length === 0) await new Promise((resolve) => setTimeout(resolve, pollMs))
          }
        }
        const ended = loop()
        return async () => {
          running = false
          await ended
        }
      },
      isEmpty: async () => (await sizes()).unfinished === 0,
      tally: sizes,
      close: async () => client.disconnect()
    }
  }
}
