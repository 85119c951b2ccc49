/** Every storage, as a user would set it up: one module, one line. */
import { randomBytes } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type * as Layer from "effect/Layer"
import type { StorageError } from "../../src/JobError.js"
import type { JobStorage } from "../../src/JobStorage.js"
import * as DynamoStorage from "../../src/storage/DynamoStorage.js"
import * as MemoryStorage from "../../src/storage/MemoryStorage.js"
import * as MongoStorage from "../../src/storage/MongoStorage.js"
import * as MysqlStorage from "../../src/storage/MysqlStorage.js"
import * as PgStorage from "../../src/storage/PgStorage.js"
import * as RedisStorage from "../../src/storage/RedisStorage.js"
import * as SqliteStorage from "../../src/storage/SqliteStorage.js"
import { dynamo } from "./dynamoServer.js"
import { dropDatabase } from "./mongoServer/database.js"
import { startFixture } from "./mongoServer/server.js"
import { dropKeys, randomPrefix, redis } from "./redisServer.js"
import { dropSchema, mysql, postgres, randomSchema } from "./servers.js"

/** A storage that holds nothing yet. */
export interface Fresh {
  readonly layer: Layer.Layer<JobStorage, StorageError>
  /** The expression that makes this layer, where `module` is imported. */
  readonly source: string
}

export interface Tested {
  readonly name: string
  /** `dbjobq/storage/…` */
  readonly module: string
  /** Undefined when its server is missing. */
  readonly fresh: (() => Promise<Fresh>) | undefined
}

const tested = <Options>(
  name: string,
  module: string,
  layer: (options: Options) => Layer.Layer<JobStorage, StorageError>,
  options: (() => Options | Promise<Options>) | undefined
): Tested => ({
  name,
  module,
  fresh:
    options &&
    (async () => {
      const made = await options()
      return { layer: layer(made), source: `${module}.layer(${JSON.stringify(made)})` }
    })
})

const mongo = async () => {
  const real = process.env.DBJOBQ_TEST_MONGO_URL
  if (real === undefined) {
    const { stop, url } = await startFixture({ replicaSet: true })
    return { url, fresh: randomSchema, stop }
  }
  const databases: Array<string> = []
  return {
    url: real,
    fresh: () => {
      const database = randomSchema()
      databases.push(database)
      return database
    },
    stop: async () => {
      for (const database of databases) await dropDatabase(real, database)
    }
  }
}

export const everyStorage = async (): Promise<{
  readonly storages: ReadonlyArray<Tested>
  /** Removes what the fresh storages wrote. */
  readonly stop: () => Promise<void>
}> => {
  const directory = await mkdtemp(join(tmpdir(), "dbjobq-every-"))
  const pg = await postgres()
  const my = await mysql()
  const redisUrl = await redis()
  const documents = await mongo()
  const tables = await dynamo()
  const schemas: Array<string> = []
  const prefixes: Array<string> = []
  const added = (names: Array<string>, name: string): string => {
    names.push(name)
    return name
  }
  return {
    storages: [
      {
        name: "memory",
        module: "MemoryStorage",
        fresh: async () => ({ layer: MemoryStorage.layer, source: "MemoryStorage.layer" })
      },
      tested("SQLite", "SqliteStorage", SqliteStorage.layer, () => ({
        filename: join(directory, `${randomBytes(6).toString("hex")}.db`)
      })),
      tested(
        "PostgreSQL",
        "PgStorage",
        PgStorage.layer,
        pg && (() => ({ url: pg.url, schema: added(schemas, randomSchema()) }))
      ),
      tested("MySQL", "MysqlStorage", MysqlStorage.layer, my && (async () => ({ url: await my.database() }))),
      tested(
        "Redis",
        "RedisStorage",
        RedisStorage.layer,
        redisUrl === undefined ? undefined : () => ({ url: redisUrl, prefix: added(prefixes, randomPrefix()) })
      ),
      tested("MongoDB", "MongoStorage", MongoStorage.layer, () => ({
        url: documents.url,
        database: documents.fresh()
      })),
      tested("DynamoDB", "DynamoStorage", DynamoStorage.layer, () => ({
        ...tables.options,
        table: tables.freshTable()
      }))
    ],
    stop: async () => {
      await rm(directory, { recursive: true, force: true })
      if (pg !== undefined) for (const schema of schemas) await dropSchema(pg.url, schema)
      if (redisUrl !== undefined) for (const prefix of prefixes) await dropKeys(redisUrl, prefix)
      await pg?.stop()
      await my?.stop()
      await documents.stop()
      await tables.stop()
    }
  }
}
