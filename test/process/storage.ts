import * as MysqlStorage from "dbjobq/storage/MysqlStorage"
import * as PgStorage from "dbjobq/storage/PgStorage"
import * as SqliteStorage from "dbjobq/storage/SqliteStorage"

/** `sqlite:<file>`, `pg:<schema>:<url>` or a URL of MySQL */
export const storage = (spec: string) => {
  if (spec.startsWith("sqlite:")) return SqliteStorage.layer({ filename: spec.slice("sqlite:".length) })
  if (spec.startsWith("mysql:")) return MysqlStorage.layer({ url: spec })
  const [, schema = "", ...url] = spec.split(":")
  return PgStorage.layer({ url: url.join(":"), schema })
}
