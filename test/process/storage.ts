import { Effect, Layer } from "effect"
import type { JobError, JobStorage } from "dbjobq"

/**
 * `sqlite:<file>`, or `pg:<schema>:<url>`, `redis:<prefix>:<url>`, `mongo:<database>:<url>`, `dynamo:<table>:<endpoint>`, or a `mysql:` URL;
 * loads only the driver that it needs.
 */
export const storage = (spec: string): Layer.Layer<JobStorage.JobStorage, JobError.StorageError> => {
  const [kind, place = "", ...rest] = spec.split(":")
  const url = rest.join(":")
  const layer = async (): Promise<Layer.Layer<JobStorage.JobStorage, JobError.StorageError>> => {
    switch (kind) {
      case "sqlite":
        return (await import("dbjobq/storage/SqliteStorage")).layer({ filename: spec.slice("sqlite:".length) })
      case "mongo":
        return (await import("dbjobq/storage/MongoStorage")).layer({ url, database: place })
      case "redis":
        return (await import("dbjobq/storage/RedisStorage")).layer({ url, prefix: place })
      case "dynamo": {
        const { optionsFor } = await import("../storage/dynamoServer.js")
        const { layer } = await import("dbjobq/storage/DynamoStorage")
        return layer({ ...optionsFor(url), table: place, shards: 2, clockSkew: "200 millis" })
      }
      case "mysql":
        return (await import("dbjobq/storage/MysqlStorage")).layer({ url: spec })
      default:
        return (await import("dbjobq/storage/PgStorage")).layer({ url, schema: place })
    }
  }
  return Layer.unwrapEffect(Effect.promise(layer))
}
