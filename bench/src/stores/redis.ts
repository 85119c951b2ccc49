/** A key prefix per measurement. */
import { Redis } from "ioredis"
import { counted } from "./proxy.js"
import { freshName, type Store } from "./store.js"

const server = process.env["BENCH_REDIS_URL"] ?? "redis://127.0.0.1:6379"

const once = async <A>(use: (client: Redis) => Promise<A>): Promise<A> => {
  const client = new Redis(server)
  try {
    return await use(client)
  } finally {
    client.disconnect()
  }
}

/** Counts commands: each begins with `*<parts>\r\n$` in Redis's protocol. */
const commands = (count: (found: number) => void) => () => (bytes: Buffer) =>
  count(bytes.toString("latin1").match(/\*\d+\r\n\$/g)?.length ?? 0)

export const redis: Store = {
  create: async () => ({ url: server, prefix: freshName() }),
  destroy: (place) =>
    once(async (client) => {
      for await (const keys of client.scanStream({ match: `*${place.prefix}*`, count: 10_000 })) {
        if (keys.length > 0) await client.unlink(...keys)
      }
    }),
  describe: () =>
    once(async (client) => {
      const version = /redis_version:(\S+)/.exec(await client.info("server"))?.[1]
      const settings = await client.config("GET", "append*")
      const of = (name: string) => (Array.isArray(settings) ? settings[settings.indexOf(name) + 1] : undefined)
      return `Redis: ${version}, appendonly ${of("appendonly")}, appendfsync ${of("appendfsync")}`
    }),
  counted: (place) => counted(place, 6379, commands)
}
