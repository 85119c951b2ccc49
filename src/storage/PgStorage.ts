/**
 * Jobs in PostgreSQL: durable, any number of machines, wake-ups by LISTEN / NOTIFY.
 *
 * @since 0.1.0
 */
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { StorageError } from "../JobError.js"
import type { JobStorage, Transactional } from "../JobStorage.js"
import { int, orThrow } from "../internal/option.js"
import { liveClock, storageError } from "./sql/db.js"
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
  /** Default 10, at least 3; one more is used for LISTEN. */
  readonly maxConnections?: number | undefined
  /** How long to wait for a connection; default 5 seconds. */
  readonly connectTimeout?: Duration.DurationInput | undefined
}

const onClient = (client: PgClient.PgClient, options: ClientOptions, exclusive: boolean) =>
  Service.make({
    sql: client,
    exclusive,
    migrate: options.migrate,
    clock: options.clock,
    schema: options.schema,
    listen: client.listen
  })

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
  return Layer.effectContext(Effect.flatMap(PgClient.PgClient, (client) => onClient(client, options, false)))
}

const connect = (options: Options) => {
  const url = typeof options.url === "string" ? Redacted.make(options.url) : options.url
  return PgClient.make({
    url,
    maxConnections: options.maxConnections ?? 10,
    connectTimeout: options.connectTimeout ?? Duration.seconds(5),
    applicationName: "dbjobq"
  }).pipe(
    // real time also under TestClock: a server that is down must not hang the build
    Effect.withClock(liveClock),
    Effect.catchAllDefect((defect) => Effect.fail(storageError("open", defect))),
    Effect.mapError((error) => storageError("open", error))
  )
}

/**
 * The storage with a connection pool of its own. Fails within `connectTimeout` when the server is down.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options
): Layer.Layer<JobStorage | Transactional | SqlClient.SqlClient | PgClient.PgClient, StorageError> => {
  orThrow(Service.checkSchema(options.schema))
  orThrow(int("maxConnections", options.maxConnections ?? 10, 3, 10_000))
  return Layer.scopedContext(
    Effect.flatMap(connect(options), (client) =>
      Effect.map(onClient(client, options, true), (context) =>
        context.pipe(Context.add(SqlClient.SqlClient, client), Context.add(PgClient.PgClient, client))
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
  Layer.unwrapEffect(Effect.map(Config.unwrap(config), layer))
