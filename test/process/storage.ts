import { Effect, Layer } from "effect"
import type { JobError, JobStorage } from "dbjobq"

/** `sqlite:<file>`, `pg:<schema>:<url>` or `mongo:<database>:<url>`; loads only the driver that it needs. */
export const storage = (spec: string): Layer.Layer<JobStorage.JobStorage, JobError.StorageError> => {
  const [kind, place = "", ...rest] = spec.split(":")
  const url = rest.join(":")
  const layer = async (): Promise<Layer.Layer<JobStorage.JobStorage, JobError.StorageError>> => {
    switch (kind) {
      case "sqlite":
        return (await import("dbjobq/storage/SqliteStorage")).layer({ filename: spec.slice("sqlite:".length) })
      case "mongo":
        return (await import("dbjobq/storage/MongoStorage")).layer({ url, database: place })
      default:
        return (await import("dbjobq/storage/PgStorage")).layer({ url, schema: place })
    }
  }
  return Layer.unwrapEffect(Effect.promise(layer))
}
