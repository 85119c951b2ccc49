import * as PgStorage from "dbjobq/storage/PgStorage"
import * as SqliteStorage from "dbjobq/storage/SqliteStorage"

/** `sqlite:<file>` or `pg:<schema>:<url>` */
export const storage = (spec: string) => {
  if (spec.startsWith("sqlite:")) return SqliteStorage.layer({ filename: spec.slice("sqlite:".length) })
  const [, schema = "", ...url] = spec.split(":")
  return PgStorage.layer({ url: url.join(":"), schema })
}
