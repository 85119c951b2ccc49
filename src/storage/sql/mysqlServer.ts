/** What a MySQL or MariaDB server and its tables must be like; looked at once, when the storage is built. */
import * as Effect from "effect/Effect"
import { StorageError } from "../../JobError.js"
import type { Db } from "./db.js"
import { older } from "./version.js"

const refuse = (message: string) => Effect.fail(new StorageError({ operation: "open", message, isTransient: false }))

const smallestPacket = 4_194_304

interface Server {
  readonly version: string
  readonly mode: string
  readonly packet: number | string
  readonly charset: string
}

/** The first with a binary collation that counts trailing blanks, and the first long-term one with descending indexes. */
const minimum = { MySQL: "8.0.17", MariaDB: "10.11" } as const

/** Without strict mode the server cuts values off instead of refusing them. */
export const checkServer = (db: Db): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const [server] = yield* db.run(
      "open",
      db.sql<Server>`SELECT VERSION() AS version, @@SESSION.sql_mode AS mode, @@max_allowed_packet AS packet,
  @@character_set_client AS charset`
    )
    if (server === undefined) return
    const kind = /mariadb/i.test(server.version) ? "MariaDB" : "MySQL"
    if (older(server.version, minimum[kind])) {
      return yield* refuse(`${kind} ${minimum[kind]} or later is needed, the server is ${server.version}`)
    }
    if (!/STRICT_(TRANS|ALL)_TABLES/.test(server.mode)) {
      return yield* refuse("strict mode is needed: add STRICT_TRANS_TABLES to sql_mode")
    }
    if (server.charset !== "utf8mb4") {
      return yield* refuse(`the connection's character set must be utf8mb4, it is ${server.charset}`)
    }
    if (Number(server.packet) < smallestPacket) {
      return yield* refuse(`max_allowed_packet must be at least ${smallestPacket}, it is ${server.packet}`)
    }
  })

interface Column {
  readonly place: string
  readonly collation: string
  readonly engine: string
}

/** A table that was made or converted by hand may compare without regard to case or trailing blanks, or have no transactions. */
export const checkTables = (db: Db): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const columns = yield* db.run(
      "open",
      db.sql<Column>`SELECT CONCAT(c.table_name, '.', c.column_name) AS place, c.collation_name AS collation, t.engine AS engine
FROM information_schema.columns AS c
JOIN information_schema.tables AS t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
WHERE c.table_schema = DATABASE() AND c.table_name IN ('dbjobq_jobs', 'dbjobq_queues', 'dbjobq_schedules')
  AND c.data_type = 'varchar'`
    )
    for (const { collation, engine, place } of columns) {
      if (engine.toLowerCase() !== "innodb") return yield* refuse(`${place}: the table must be InnoDB, it is ${engine}`)
      if (collation !== "utf8mb4_nopad_bin" && collation !== "utf8mb4_0900_bin") {
        return yield* refuse(
          `${place}: the collation must be utf8mb4_nopad_bin or utf8mb4_0900_bin, it is ${collation}`
        )
      }
    }
  })
