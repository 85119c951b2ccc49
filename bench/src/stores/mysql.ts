/** A database per measurement, on MySQL or MariaDB. */
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise"
import { counted } from "./proxy.js"
import { freshName, type Store } from "./store.js"

const server = process.env["BENCH_MYSQL_URL"] ?? "mysql://root@127.0.0.1:3306/"

const once = async <A>(url: string, use: (client: Connection) => Promise<A>): Promise<A> => {
  const client = await createConnection(url)
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

const query = 0x03
const execute = 0x17

/** Counts executions in MySQL's protocol: a command begins a sequence, and says in its first byte what it is. */
const executions = (count: (found: number) => void) => () => {
  let rest: Buffer = Buffer.alloc(0)
  return (bytes: Buffer) => {
    rest = Buffer.concat([rest, bytes])
    while (rest.length > 4) {
      const length = rest.readUIntLE(0, 3) + 4
      if (rest.length < length) return
      if (rest[3] === 0 && (rest[4] === query || rest[4] === execute)) count(1)
      rest = rest.subarray(length)
    }
  }
}

const settings = ["version", "innodb_flush_log_at_trx_commit", "sync_binlog", "log_bin", "innodb_buffer_pool_size"]

export const mysql: Store = {
  create: async () => {
    const prefix = freshName()
    await once(server, (client) => client.query(`CREATE DATABASE ${prefix} CHARACTER SET utf8mb4`))
    return { url: at(prefix), prefix }
  },
  destroy: (place) =>
    once(server, async (client) => {
      await client.query(`DROP DATABASE IF EXISTS ${place.prefix}`)
    }),
  describe: () =>
    once(server, async (client) => {
      const [rows] = await client.query<Array<RowDataPacket>>(
        `SELECT ${settings.map((name) => `@@${name} AS ${name}`).join(", ")}`
      )
      return `MySQL: ${settings.map((name) => `${name} ${rows[0]?.[name]}`).join(", ")}`
    }),
  settle: (place) =>
    once(place.url, async (client) => {
      const [tables] = await client.query<Array<RowDataPacket>>(
        "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()"
      )
      for (const { name } of tables) await client.query(`ANALYZE TABLE ${name}`)
    }),
  holdSnapshot: async (place) => {
    const client = await createConnection(place.url)
    await client.query("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    return () => client.end()
  },
  counted: (place) => counted(place, 3306, executions)
}
