import type { JobStorage } from "dbjobq"
import type { StorageError } from "dbjobq/JobError"
import * as PgStorage from "dbjobq/storage/PgStorage"
import * as RedisStorage from "dbjobq/storage/RedisStorage"
import * as SqliteStorage from "dbjobq/storage/SqliteStorage"
import type { Layer } from "effect"

/** `sqlite:<file>`, `pg:<schema>:<url>` or `redis:<prefix>:<url>` */
export const storage = (spec: string): Layer.Layer<JobStorage.JobStorage, StorageError> => {
  if (spec.startsWith("sqlite:")) return SqliteStorage.layer({ filename: spec.slice("sqlite:".length) })
  const [kind, schema = "", ...url] = spec.split(":")
  if (kind === "redis") return RedisStorage.layer({ url: url.join(":"), prefix: schema })
  return PgStorage.layer({ url: url.join(":"), schema })
}
