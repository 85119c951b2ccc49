import type { JobStorage } from "dbjobq"
import type { StorageError } from "dbjobq/JobError"
import * as DynamoStorage from "dbjobq/storage/DynamoStorage"
import * as PgStorage from "dbjobq/storage/PgStorage"
import * as SqliteStorage from "dbjobq/storage/SqliteStorage"
import type { Layer } from "effect"
import { optionsFor } from "../storage/dynamoServer.js"

/** `sqlite:<file>`, `pg:<schema>:<url>` or `dynamo:<table>:<endpoint>` */
export const storage = (spec: string): Layer.Layer<JobStorage.JobStorage, StorageError> => {
  if (spec.startsWith("sqlite:")) return SqliteStorage.layer({ filename: spec.slice("sqlite:".length) })
  const [kind, schema = "", ...url] = spec.split(":")
  if (kind === "dynamo") {
    return DynamoStorage.layer({ ...optionsFor(url.join(":")), table: schema, shards: 2, clockSkew: "200 millis" })
  }
  return PgStorage.layer({ url: url.join(":"), schema })
}
