/** A database per measurement: tables, statistics and notifications of one peer never meet another's. */
import pg from "pg"
import { freshName, type Store } from "./store.js"
import { counted } from "./proxy.js"

const server = process.env["BENCH_PG_URL"] ?? "postgres://postgres@127.0.0.1:5432/test"

const once = async <A>(url: string, use: (client: pg.Client) => Promise<A>): Promise<A> => {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

const at = (database: string): string => {
  const url = new URL(server)
  url.pathname = database
  return url.href
}

/** Counts executions in PostgreSQL's wire protocol: simple queries (Q) and portal executions (E). */
const executions = (count: (found: number) => void) => () => {
  let rest: Buffer = Buffer.alloc(0)
  let started = false
  return (bytes: Buffer) => {
    rest = Buffer.concat([rest, bytes])
    for (;;) {
      // the startup message alone has no type byte
      const head = started ? 1 : 0
      if (rest.length < head + 4) return
      const length = rest.readInt32BE(head) + head
      if (rest.length < length) return
      const type = String.fromCharCode(rest[0] ?? 0)
      if (started && (type === "Q" || type === "E")) count(1)
      started = true
      rest = rest.subarray(length)
    }
  }
}

const settings = ["server_version", "fsync", "synchronous_commit", "autovacuum", "shared_buffers"]

export const postgres: Store = {
  create: async () => {
    const prefix = freshName()
    await once(server, (client) => client.query(`CREATE DATABASE ${prefix}`))
    return { url: at(prefix), prefix }
  },
  destroy: (place) =>
    once(server, async (client) => {
      await client.query(`DROP DATABASE IF EXISTS ${place.prefix} WITH (FORCE)`)
    }),
  describe: () =>
    once(server, async (client) => {
      const found = await client.query<{ name: string; setting: string }>(
        "SELECT name, current_setting(name) AS setting FROM pg_settings WHERE name = ANY($1) ORDER BY array_position($1, name)",
        [settings]
      )
      return `PostgreSQL: ${found.rows.map(({ name, setting }) => `${name} ${setting}`).join(", ")}`
    }),
  settle: (place) =>
    once(place.url, async (client) => {
      await client.query("VACUUM ANALYZE")
    }),
  holdSnapshot: async (place) => {
    const client = new pg.Client({ connectionString: place.url })
    await client.connect()
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
    await client.query("SELECT count(*) FROM pg_class")
    return () => client.end()
  },
  counted: (place) => counted(place, 5432, executions)
}
