/**
 * Jobs in MySQL 8 or MariaDB: durable, any number of machines. Workers of the enqueuing process hear at once, others poll.
 *
 * @since 0.1.0
 */
import { connect as connectTo, type Socket } from "node:net"
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import * as MysqlClient from "@effect/sql-mysql2/MysqlClient"
import type * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type { StorageError } from "../JobError.js"
import type { JobStorage, Transactional } from "../JobStorage.js"
import * as LayerConfig from "../internal/layerConfig.js"
import { int, timeoutOrThrow, orThrow, url } from "../internal/option.js"
import { storageError } from "./sql/db.js"
import * as Deadline from "./sql/deadline.js"
import { liveClock } from "../internal/liveClock.js"
import { detached } from "./sql/ownership.js"
import * as Service from "./sql/service.js"
import * as Sockets from "./sql/sockets.js"

/**
 * How the storage behaves, whoever made the client.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClientOptions {
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
  /** `mysql://user:password@host:port/database`; options of the driver may follow, for example `?ssl={}` for TLS. */
  readonly url: Redacted.Redacted | string
  /** Default 10, at least 3. */
  readonly maxConnections?: number | undefined
  /** How long to wait for a connection; default 5 seconds. */
  readonly connectTimeout?: Duration.DurationInput | undefined
  /**
   * How long a statement of the storage waits for the server, which may have vanished without a word; default 30
   * seconds. Then it fails, is killed, and its connection closed. The application's own statements are not bounded.
   */
  readonly queryTimeout?: Duration.DurationInput | undefined
}

const onClient = (client: MysqlClient.MysqlClient, options: ClientOptions, deadline?: Deadline.Deadline) =>
  Service.make({
    sql: client,
    exclusive: deadline !== undefined,
    deadline,
    migrate: options.migrate,
    groupCommit: options.groupCommit,
    clock: options.clock
  })

/**
 * The storage on the application's own `MysqlClient`, which should have at least 3 connections.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerClient = (
  options: ClientOptions = {}
): Layer.Layer<JobStorage | Transactional, StorageError, MysqlClient.MysqlClient> =>
  Layer.effectContext(Effect.flatMap(MysqlClient.MysqlClient, (client) => onClient(client, options)))

/** The driver's own connection, inside an `@effect/sql-mysql2` one. */
interface Driver {
  readonly destroy: () => unknown
  readonly stream: { readonly destroy: () => unknown }
  readonly threadId: number
}

const isDestroyable = (value: unknown): value is Driver["stream"] =>
  Predicate.hasProperty(value, "destroy") && Predicate.isFunction(value.destroy)

const isDriver = (value: unknown): value is Driver =>
  isDestroyable(value) &&
  Predicate.hasProperty(value, "stream") &&
  isDestroyable(value.stream) &&
  Predicate.hasProperty(value, "threadId") &&
  Predicate.isNumber(value.threadId)

const deadlineOf = (client: MysqlClient.MysqlClient, millis: number): Deadline.Deadline => {
  const deadline: Deadline.Deadline = {
    millis,
    compiler: MysqlClient.makeCompiler(),
    spanAttributes: [["db.system.name", "mysql"]],
    breakOff: (connection) =>
      Effect.suspend(() => {
        const driver: unknown = Reflect.get(connection, "conn")
        if (!isDriver(driver)) return Effect.void
        // the first forgets it, the second does not wait for a peer that is gone
        driver.destroy()
        driver.stream.destroy()
        // a server that is there goes on waiting, for a lock say, although nobody waits for its answer
        const kill = Deadline.statements(deadline, client).unsafe(`KILL ${driver.threadId}`).unprepared
        return Effect.asVoid(Effect.forkDaemon(Effect.interruptible(Effect.ignore(detached(kill)))))
      })
  }
  return deadline
}

/** What the driver says of a connection it wants. */
interface Connecting {
  readonly config: { readonly socketPath?: string; readonly host: string; readonly port: number }
}

const socketOf = ({ config: { host, port, socketPath } }: Connecting): Socket =>
  socketPath === undefined ? connectTo(port, host).setNoDelay(true) : connectTo(socketPath)

const clientOf = (options: Options, connectTimeout: number, sockets: Sockets.Sockets) => {
  const maxConnections = options.maxConnections ?? 10
  return MysqlClient.make({
    maxConnections,
    // the driver reads the URL here as well, and this way it takes a timeout beside it
    poolConfig: {
      uri: typeof options.url === "string" ? options.url : Redacted.value(options.url),
      connectTimeout,
      maxIdle: maxConnections,
      stream: (connection: Connecting) => sockets.add(socketOf(connection))
    }
  })
}

const connect = (options: Options, connectTimeout: number) =>
  Effect.suspend(() => {
    const sockets = Sockets.make()
    return Effect.acquireRelease(Scope.make(), (scope, exit) => sockets.close(Scope.close(scope, exit))).pipe(
      Effect.flatMap((scope) => Scope.extend(clientOf(options, connectTimeout, sockets), scope))
    )
  }).pipe(
    // real time also under TestClock: a server that is down must not hang the build
    Effect.withClock(liveClock),
    Effect.catchAllDefect((defect) => Effect.fail(storageError("open", defect))),
    Effect.mapError((error) => storageError("open", error))
  )

/**
 * The storage with a connection pool of its own. Fails within `connectTimeout` when the server is down.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options
): Layer.Layer<JobStorage | Transactional | SqlClient.SqlClient | MysqlClient.MysqlClient, StorageError> => {
  orThrow(url(options.url, ["mysql://", "mariadb://"]))
  orThrow(int("maxConnections", options.maxConnections ?? 10, 3, 10_000))
  const queryTimeout = timeoutOrThrow("queryTimeout", options.queryTimeout ?? "30 seconds")
  const connectTimeout = timeoutOrThrow("connectTimeout", options.connectTimeout ?? "5 seconds")
  return Layer.scopedContext(
    Effect.flatMap(connect(options, connectTimeout), (client) =>
      Effect.map(onClient(client, options, deadlineOf(client, queryTimeout)), (context) =>
        context.pipe(Context.add(SqlClient.SqlClient, client), Context.add(MysqlClient.MysqlClient, client))
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
): Layer.Layer<
  JobStorage | Transactional | SqlClient.SqlClient | MysqlClient.MysqlClient,
  StorageError | ConfigError
> => LayerConfig.make(config, layer)
