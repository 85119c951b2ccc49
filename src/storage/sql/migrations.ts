/** The schema, step by step. A step, once released, never changes. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { StorageError } from "../../JobError.js"
import type { Db, Dialect } from "./db.js"
import { qualified } from "./db.js"
import { createMysql } from "./mysqlTables.js"
import { pgFunctions } from "./pgFunctions.js"

interface Step {
  readonly id: number
  readonly name: string
  readonly statements: ReadonlyArray<string>
}

/** PostgreSQL enters each version of a row anew, and a job has three: without room each page would be split twice. */
const roomForVersions = " WITH (fillfactor = 45)"

const create = (dialect: Dialect, schema: string | undefined): ReadonlyArray<string> => {
  const jobs = qualified("dbjobq_jobs", schema)
  const queues = qualified("dbjobq_queues", schema)
  const schedules = qualified("dbjobq_schedules", schema)
  const pg = dialect === "pg"
  const text = pg ? `text COLLATE "C"` : "text"
  const boolean = pg ? "boolean" : "integer"
  const no = pg ? "false" : "0"
  const yes = pg ? "true" : "1"
  return [
    `CREATE TABLE IF NOT EXISTS ${jobs} (
  id ${text} NOT NULL PRIMARY KEY${pg ? roomForVersions : ""},
  name ${text} NOT NULL,
  queue ${text} NOT NULL,
  state ${text} NOT NULL CHECK (state IN ('scheduled', 'pending', 'running', 'completed', 'failed', 'cancelled')),
  priority integer NOT NULL,
  payload text NOT NULL,
  run_at bigint NOT NULL,
  attempt integer NOT NULL DEFAULT 0,
  max_attempts integer NOT NULL,
  crashes integer NOT NULL DEFAULT 0,
  generation integer NOT NULL DEFAULT 1,
  token bigint NOT NULL DEFAULT 0,
  owner text,
  lease_until bigint,
  cancel_requested ${boolean} NOT NULL DEFAULT ${no},
  unique_key ${text},
  tags text NOT NULL DEFAULT '[]',
  result text,
  failure text,
  progress double precision,
  progress_message text,
  traceparent text,
  schedule_id ${text},
  slot bigint,
  enqueued_at bigint NOT NULL,
  started_at bigint,
  finished_at bigint
)${
      pg
        ? ` WITH (
  fillfactor = 85,
  autovacuum_vacuum_scale_factor = 0.01,
  autovacuum_vacuum_threshold = 1000,
  autovacuum_analyze_scale_factor = 0.05,
  autovacuum_vacuum_cost_delay = 1
)`
        : ""
    }`,
    `CREATE INDEX IF NOT EXISTS dbjobq_jobs_ready ON ${jobs} (queue, name, ${pg ? "(~priority)" : "priority DESC"}, run_at, id) WHERE state = 'pending'`,
    `CREATE INDEX IF NOT EXISTS dbjobq_jobs_due ON ${jobs} (run_at) WHERE state = 'scheduled'`,
    `CREATE INDEX IF NOT EXISTS dbjobq_jobs_lease ON ${jobs} (lease_until) WHERE state = 'running'`,
    `CREATE INDEX IF NOT EXISTS dbjobq_jobs_finished ON ${jobs} (state, finished_at) WHERE finished_at IS NOT NULL`,
    `CREATE UNIQUE INDEX IF NOT EXISTS dbjobq_jobs_unique ON ${jobs} (name, unique_key)
  WHERE unique_key IS NOT NULL AND state IN ('scheduled', 'pending', 'running')`,
    `CREATE TABLE IF NOT EXISTS ${queues} (
  queue ${text} NOT NULL PRIMARY KEY,
  paused ${boolean} NOT NULL DEFAULT ${no}
)`,
    `CREATE TABLE IF NOT EXISTS ${schedules} (
  id ${text} NOT NULL PRIMARY KEY,
  job ${text} NOT NULL,
  queue ${text} NOT NULL,
  priority integer NOT NULL,
  payload text NOT NULL,
  max_attempts integer NOT NULL,
  unique_key ${text},
  recurrence text NOT NULL,
  missed integer NOT NULL,
  overlap ${text} NOT NULL CHECK (overlap IN ('allow', 'skip')),
  jitter bigint NOT NULL,
  enabled ${boolean} NOT NULL DEFAULT ${yes},
  disabled_reason text,
  version bigint NOT NULL DEFAULT 1,
  next_slot bigint,
  last_slot bigint,
  last_job ${text},
  last_fired_at bigint,
  fired bigint NOT NULL DEFAULT 0,
  skipped bigint NOT NULL DEFAULT 0,
  last_skip_reason ${text} CHECK (last_skip_reason IN ('missed', 'overlap', 'duplicate'))
)`,
    `CREATE INDEX IF NOT EXISTS dbjobq_schedules_due ON ${schedules} (next_slot, id) WHERE enabled`
  ]
}

const first = (dialect: Dialect, schema: string | undefined): ReadonlyArray<string> => {
  switch (dialect) {
    case "pg":
      return [...create(dialect, schema), ...pgFunctions(schema)]
    case "sqlite":
      return create(dialect, schema)
    case "mysql":
      return createMysql
  }
}

const steps = (dialect: Dialect, schema: string | undefined): ReadonlyArray<Step> => [
  { id: 1, name: "create", statements: first(dialect, schema) }
]

const ledger = (schema: string | undefined): string =>
  `CREATE TABLE IF NOT EXISTS ${qualified("dbjobq_migrations", schema)} (
  id integer NOT NULL PRIMARY KEY,
  name text NOT NULL
)`

const record = (step: Step, schema: string | undefined): string =>
  `INSERT INTO ${qualified("dbjobq_migrations", schema)} (id, name) VALUES (${step.id}, '${step.name}')`

/** The whole schema as text, for those who run their migrations by hand. */
export const text = (dialect: Dialect, schema: string | undefined): string =>
  [
    ...(schema === undefined || dialect !== "pg" ? [] : [`CREATE SCHEMA IF NOT EXISTS "${schema}"`]),
    ledger(schema),
    ...steps(dialect, schema).flatMap((step) => [...step.statements, record(step, schema)])
  ]
    .map((statement) => `${statement};\n`)
    .join("\n")

const ledgerExists = (db: Db): Effect.Effect<boolean, SqlError> =>
  Effect.map(
    db.dialect === "pg"
      ? db.sql`SELECT 1 AS present WHERE to_regclass(${qualified("dbjobq_migrations", db.schema)}) IS NOT NULL`
      : db.dialect === "mysql"
        ? db.sql`SELECT 1 AS present FROM information_schema.tables
  WHERE table_schema = DATABASE() AND table_name = 'dbjobq_migrations'`
        : db.sql`SELECT 1 AS present FROM sqlite_master WHERE type = 'table' AND name = 'dbjobq_migrations'`,
    (rows) => rows.length > 0
  )

const pending = (db: Db): Effect.Effect<ReadonlyArray<Step>, SqlError> =>
  Effect.map(
    db.sql<{ readonly id: number }>`SELECT id FROM ${db.sql.literal(qualified("dbjobq_migrations", db.schema))}`,
    (rows) => {
      const applied = new Set(rows.map((row) => row.id))
      return steps(db.dialect, db.schema).filter((step) => !applied.has(step.id))
    }
  )

/** CREATE SCHEMA asks for a privilege even when the schema exists, so look first. */
const createSchema = (db: Db): Effect.Effect<void, SqlError> =>
  db.schema === undefined || db.dialect !== "pg"
    ? Effect.void
    : Effect.flatMap(db.sql`SELECT 1 AS present FROM pg_namespace WHERE nspname = ${db.schema}`, (rows) =>
        rows.length > 0 ? Effect.void : db.sql.unsafe(`CREATE SCHEMA IF NOT EXISTS "${db.schema}"`)
      )

const apply = (db: Db) =>
  Effect.gen(function* () {
    if (db.dialect === "pg") {
      yield* db.sql`SELECT pg_advisory_xact_lock(hashtextextended(${`dbjobq:${db.schema ?? ""}`}, 0))`
    }
    yield* createSchema(db)
    yield* db.sql.unsafe(ledger(db.schema))
    for (const step of yield* pending(db)) {
      for (const statement of step.statements) yield* db.sql.unsafe(statement)
      yield* db.sql.unsafe(record(step, db.schema))
    }
  })

/**
 * MySQL commits before and after each DDL statement, so a lock of the session, not of the transaction, keeps starters
 * apart, and every statement may be run again by the one that comes after a crash.
 */
const applyMysql = (db: Db) => {
  const name = db.sql.literal("CONCAT('dbjobq.', SHA1(DATABASE()))")
  return Effect.acquireUseRelease(
    Effect.filterOrFail(
      db.sql<{ readonly got: number | null }>`SELECT GET_LOCK(${name}, 60) AS got`,
      (rows) => rows[0]?.got === 1,
      () =>
        new StorageError({
          operation: "migrate",
          message: "migrate: another migration holds the lock",
          isTransient: true
        })
    ),
    () => apply(db),
    () => Effect.ignore(db.sql`SELECT RELEASE_LOCK(${name})`)
  )
}

const missing = Effect.fail(
  new StorageError({
    operation: "open",
    message:
      "open: the tables are missing or older than this library; `npx dbjobq sql` prints the statements that make them",
    isTransient: false
  })
)

/** That the schema is up to date, where somebody else sees to it. */
export const check = (db: Db): Effect.Effect<void, StorageError> =>
  db.run(
    "open",
    Effect.flatMap(ledgerExists(db), (exists) =>
      exists ? Effect.flatMap(pending(db), (left) => (left.length === 0 ? Effect.void : missing)) : missing
    )
  )

/** Brings the schema up to date. Any number of processes may do so at once. */
export const run = (db: Db): Effect.Effect<void, StorageError> =>
  db
    .run(
      "migrate",
      Effect.flatMap(ledgerExists(db), (exists) => (exists ? pending(db) : Effect.succeed(undefined)))
    )
    .pipe(
      Effect.flatMap((left) =>
        left !== undefined && left.length === 0
          ? Effect.void
          : db.atomic("migrate", db.dialect === "mysql" ? applyMysql(db) : apply(db))
      )
    )
