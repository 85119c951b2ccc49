/** A new, empty place for jobs on each storage that processes can share, as `storage` reads it. */
import { join } from "node:path"
import { dynamo } from "../storage/dynamoServer.js"
import { startFixture } from "../storage/mongoServer/server.js"
import { randomPrefix, redis } from "../storage/redisServer.js"
import { mysql, postgres, randomSchema } from "../storage/servers.js"

export interface Shared {
  readonly name: string
  /** Undefined when the server is missing. The directory is the test's own. */
  readonly spec: ((dir: string) => string | Promise<string>) | undefined
}

export const sharedStorages = async (): Promise<{
  readonly storages: ReadonlyArray<Shared>
  readonly stop: () => Promise<void>
}> => {
  const pg = await postgres()
  const my = await mysql()
  const redisUrl = await redis()
  const fixture = await startFixture({ replicaSet: true })
  const mongoUrl = process.env.DBJOBQ_TEST_MONGO_URL ?? fixture.url
  const tables = await dynamo()
  return {
    storages: [
      { name: "SQLite", spec: (dir) => `sqlite:${join(dir, "jobs.db")}` },
      { name: "PostgreSQL", spec: pg && (() => `pg:${randomSchema()}:${pg.url}`) },
      { name: "MySQL", spec: my?.database },
      { name: "Redis", spec: redisUrl === undefined ? undefined : () => `redis:${randomPrefix()}:${redisUrl}` },
      { name: "MongoDB", spec: () => `mongo:${randomSchema()}:${mongoUrl}` },
      { name: "DynamoDB", spec: () => `dynamo:${tables.freshTable()}:${tables.endpoint}` }
    ],
    stop: async () => {
      await pg?.stop()
      await my?.stop()
      await fixture.stop()
      await tables.stop()
    }
  }
}
