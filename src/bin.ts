#!/usr/bin/env node
/**
 * `dbjobq sql pg [schema]`, `dbjobq sql sqlite` and `dbjobq sql mysql` print the statements that make the tables, for those who run
 * migrations themselves (with the storage's `migrate: false`).
 *
 * @since 0.1.0
 */
import { InvalidOption } from "./JobError.js"
import * as SqlStorage from "./storage/SqlStorage.js"

const [command, dialect, schema] = process.argv.slice(2)
const isDialect = dialect === "pg" || dialect === "sqlite" || dialect === "mysql"
if (command === "sql" && isDialect) {
  try {
    process.stdout.write(`${SqlStorage.migrationSql(dialect, schema)}\n`)
  } catch (error) {
    if (!(error instanceof InvalidOption)) throw error
    process.stderr.write(`dbjobq: ${error.message}\n`)
    process.exitCode = 1
  }
} else {
  process.stderr.write("usage: dbjobq sql pg [schema] | dbjobq sql sqlite | dbjobq sql mysql\n")
  process.exitCode = 2
}
