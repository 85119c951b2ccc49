import type { JobStorage } from "dbjobq"
import type { StorageError } from "dbjobq/JobError"
import * as DynamoStorage from "dbjobq/storage/DynamoStorage"
import * as PgStorage from "dbjobq/storage/PgStorage"
import * as RedisStorage from "dbjobq/storage/RedisStorage"
import * as SqliteStorage from "dbjobq/storage/SqliteStorage"
import type { Layer } from "effect"
import { optionsFor } from "../storage/dynamoServer.js"

/** `sqlite:<file>`, or `pg:<schema>:<url>`, `redis:<prefix>:<url>`, `dynamo:<table>:<endpoint>`. */
export const storage = (spec: string): Layer.Layer<JobStorage.JobStorage, StorageError> => {
  if (spec.startsWith("sqlite:")) return SqliteStorage.layer({ filename: spec.slice("sqlite:".length) })
  const [kind, place = "", ...rest] = spec.split(":")
  const url = rest.join(":")
  switch (kind) {
    case "redis":
      return RedisStorage.layer({ url, prefix: place })
    case "dynamo":
      return DynamoStorage.layer({ ...optionsFor(url), table: place, shards: 2, clockSkew: "200 millis" })
    default:
      return PgStorage.layer({ url, schema: place })
  }
}
