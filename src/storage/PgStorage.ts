/**
 * Jobs in PostgreSQL: durable, any number of machines, wake-ups by LISTEN / NOTIFY.
 *
 * @since 0.1.0
 */
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import * as PgClient from "@effect/sql-pg/PgClient"
import type * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type { Pool } from "pg"
import type { StorageError } from "../JobError.js"
import type { JobStorage, Transactional } from "../JobStorage.js"
import * as LayerConfig from "../internal/layerConfig.js"
import { int, timeoutOrThrow, orThrow, url } from "../internal/option.js"
import { storageError } from "./sql/db.js"
import type { Deadline } from "./sql/deadline.js"
import { liveClock } from "../internal/liveClock.js"
import * as PgListen from "./sql/pgListen.js"
import * as PgPool from "./sql/pgPool.js"
import * as Service from "./sql/service.js"

/**
 * How the storage behaves, whoever made the client.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClientOptions {
  /** The schema of the tables, created when missing; the connection's default when absent. */
  readonly schema?: string | undefined
  /** Whose clock judges due times and leases; default `store`. */
  readonly clock?: "store" | "effect" | undefined
  /** Create and upgrade the tables when the layer is built; default true. */
  readonly migrate?: boolean | undefined
  /**
   * Enqueues that arrive one by one while another is being written share the next write and its commit; each still
   * returns only when its own job is as durable as if written alone. Default true; false writes each by itself.
   */
  readonly groupCommit?: boolean | undefined
}

/**
 * The connection, and how the storage behaves.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends ClientOptions {
  /** `postgres://user:password@host:port/database`. */
  readonly url: Redacted.Redacted | string
  /** Default 10, at least 3; each worker uses one more for LISTEN. */
  readonly maxConnections?: number | undefined
  /** How long to wait for a connection; default 5 seconds. */
  readonly connectTimeout?: Duration.DurationInput | undefined
  /**
   * How long a statement of the storage waits for the server, which may have vanished without a word; default 30
   * seconds. Then it fails, is cancelled, and its connection closed. The application's own statements are not bounded.
   */
  readonly queryTimeout?: Duration.DurationInput | undefined
}

/**
 * The storage on the application's own `PgClient`, which should have at least 3 connections.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerClient = (
  options: ClientOptions = {}
): Layer.Layer<JobStorage | Transactional, StorageError, PgClient.PgClient> => {
  orThrow(Service.checkSchema(options.schema))
  return Layer.effectContext(
    Effect.flatMap(PgClient.PgClient, (client) =>
      Service.make({ ...options, sql: client, listen: PgListen.onClient(client) })
    )
  )
}

/** The driver's own connection, inside an `@effect/sql-pg` one. */
interface Driver {
  /** Does not wait for a statement that is under way. */
  readonly end: () => unknown
}

const isDriver = (value: unknown): value is Driver =>
  Predicate.hasProperty(value, "end") && Predicate.isFunction(value.end)

const deadlineOf = (pool: Pool, { config }: PgClient.PgClient, millis: number): Deadline => ({
  millis,
  compiler: PgClient.makeCompiler(),
  spanAttributes: [
    ["db.system.name", "postgresql"],
    ["db.namespace", config.database ?? config.username ?? "postgres"],
    ["server.address", config.host ?? "localhost"],
    ["server.port", config.port ?? 5432]
  ],
  single: PgPool.statements(pool, millis),
  // the interruption of the statement has cancelled it on the server
  breakOff: (connection) =>
    Effect.sync(() => {
      const driver: unknown = Reflect.get(connection, "pg")
      if (isDriver(driver)) driver.end()
    })
})

const configOf = (options: Options) => ({
  connectionString: typeof options.url === "string" ? options.url : Redacted.value(options.url),
  max: options.maxConnections ?? 10,
  connectionTimeoutMillis: timeoutOrThrow("connectTimeout", options.connectTimeout ?? "5 seconds"),
  application_name: "dbjobq"
})

const connect = (config: ReturnType<typeof configOf>) =>
  PgPool.make(config).pipe(
    Effect.bindTo("pool"),
    Effect.bind("client", ({ pool }) => PgClient.fromPool({ acquire: Effect.succeed(pool) })),
    // real time also under TestClock: a server that is down must not hang the build
    Effect.withClock(liveClock),
    Effect.catchAllDefect((defect) => Effect.fail(storageError("open", defect))),
    Effect.mapError((error) => storageError("open", error))
  )

/**
 * The storage with a connection pool of its own. Fails within `connectTimeout` when the server is down. It prepares the
 * statements that run for each job, until a pooler in transaction mode, say, does not know one on another connection.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options
): Layer.Layer<JobStorage | Transactional | SqlClient.SqlClient | PgClient.PgClient, StorageError> => {
  orThrow(Service.checkSchema(options.schema))
  orThrow(url(options.url, ["postgres://", "postgresql://"]))
  orThrow(int("maxConnections", options.maxConnections ?? 10, 3, 10_000))
  const queryTimeout = timeoutOrThrow("queryTimeout", options.queryTimeout ?? "30 seconds")
  const config = configOf(options)
  return Layer.scopedContext(
    Effect.flatMap(connect(config), ({ client, pool }) =>
      Effect.map(
        Service.make({
          sql: client,
          exclusive: true,
          migrate: options.migrate,
          groupCommit: options.groupCommit,
          clock: options.clock,
          schema: options.schema,
          listen: PgListen.onConnection(config),
          deadline: deadlineOf(pool, client, queryTimeout)
        }),
        (context) => context.pipe(Context.add(SqlClient.SqlClient, client), Context.add(PgClient.PgClient, client))
      )
    )
  ).pipe(Layer.provide(Reactivity.layer))
}

/**
 * The same with options from the application's configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  config: Config.Config.Wrap<Options>
): Layer.Layer<JobStorage | Transactional | SqlClient.SqlClient | PgClient.PgClient, StorageError | ConfigError> =>
  LayerConfig.make(config, layer)
