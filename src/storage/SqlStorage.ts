/**
 * Jobs in a table of the application's own database, through any `SqlClient` of a supported dialect (SQLite,
 * PostgreSQL, MySQL). Enqueues and completions join the transaction the caller has open.
 *
 * @since 0.1.0
 */
import * as SqlClient from "@effect/sql/SqlClient"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { StorageError } from "../JobError.js"
import type { JobStorage, Transactional } from "../JobStorage.js"
import { orThrow } from "../internal/option.js"
import * as Migrations from "./sql/migrations.js"
import * as Service from "./sql/service.js"

/**
 * Options of the storage.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Create and upgrade the tables when the layer is built; default true. */
  readonly migrate?: boolean | undefined
  /**
   * Enqueues that arrive one by one while another is being written share the next write and its commit; each still
   * returns only when its own job is as durable as if written alone. Default true; false writes each by itself.
   */
  readonly groupCommit?: boolean | undefined
  /** Whose clock judges due times and leases; default `store` on servers. SQLite always uses Effect's. */
  readonly clock?: "store" | "effect" | undefined
  /** PostgreSQL only: the schema of the tables, created when missing; the connection's default when absent. */
  readonly schema?: string | undefined
}

/**
 * Builds the storage on the `SqlClient` in the context.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {}
): Effect.Effect<Context.Context<JobStorage | Transactional>, StorageError, SqlClient.SqlClient> => {
  orThrow(Service.checkSchema(options.schema))
  return Effect.flatMap(SqlClient.SqlClient, (sql) => Service.make({ ...options, sql }))
}

/**
 * The storage as a layer on the application's `SqlClient`. Without push wake-ups: `PgStorage.layerClient` has them.
 * Inside a transaction of another client it steps out, which the queue warns of once: its jobs stay when that rolls back.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<JobStorage | Transactional, StorageError, SqlClient.SqlClient> => Layer.effectContext(make(options))

/**
 * The SQL that creates the tables, for those who run their migrations by hand (with `migrate: false`).
 *
 * @since 0.1.0
 * @category migrations
 */
export const migrationSql = (dialect: "pg" | "sqlite" | "mysql", schema?: string): string => {
  orThrow(Service.checkSchema(schema))
  return Migrations.text(dialect, dialect === "pg" ? schema : undefined)
}
