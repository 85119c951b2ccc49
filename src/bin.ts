#!/usr/bin/env node
/**
 * `dbjobq sql pg [schema]`, `dbjobq sql sqlite` and `dbjobq sql mysql` print the statements that make the tables, for those who run
 * migrations themselves (with the storage's `migrate: false`).
 *
 * @since 0.1.0
 */
import * as SqlStorage from "./storage/SqlStorage.js"

const [command, dialect, schema] = process.argv.slice(2)
if (command === "sql" && (dialect === "pg" || dialect === "sqlite" || dialect === "mysql")) {
  process.stdout.write(`${SqlStorage.migrationSql(dialect, schema)}\n`)
} else {
  process.stderr.write("usage: dbjobq sql pg [schema] | dbjobq sql sqlite | dbjobq sql mysql\n")
  process.exitCode = 2
}
