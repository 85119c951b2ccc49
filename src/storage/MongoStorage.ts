/**
 * Jobs in MongoDB: durable, any number of machines, wake-ups by change streams where the server has them.
 *
 * Works on a replica set, a sharded cluster or a single server, and never relies on more than the atomicity of one
 * document. Reads and writes are with majority concern, on the primary.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { type ClientSession, MongoClient } from "mongodb"
import { InvalidOption, type StorageError } from "../JobError.js"
import { JobStorage } from "../JobStorage.js"
import * as LayerConfig from "../internal/layerConfig.js"
import { int, timeoutOrThrow, orThrow } from "../internal/option.js"
import * as Db from "./mongo/db.js"
import { storageError } from "./mongo/errors.js"
import * as Service from "./mongo/service.js"
import * as Session from "./mongo/session.js"

/**
 * How the storage behaves, whoever made the client.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClientOptions {
  /** The database; default the one that the URL names, or else `test`. */
  readonly database?: string | undefined
  /** What the names of the three collections begin with; default `dbjobq_`. */
  readonly prefix?: string | undefined
  /** Whose clock judges due times and leases; default `store`. */
  readonly clock?: "store" | "effect" | undefined
  /** Create the indexes when the layer is built; default true. */
  readonly createIndexes?: boolean | undefined
  /** Listen to change streams where the server has them; default true. */
  readonly changeStreams?: boolean | undefined
}

/**
 * The connection, and how the storage behaves.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends ClientOptions {
  /** `mongodb://user:password@host:port/database`, or `mongodb+srv://…`. */
  readonly url: Redacted.Redacted | string
  /** Connections of the pool; default 10. The one of a change stream is among them. */
  readonly maxConnections?: number | undefined
  /** How long to look for a server, then and later; default 5 seconds. */
  readonly connectTimeout?: Duration.DurationInput | undefined
  /** How long to wait for a reply on a connection that has gone silent; default 30 seconds. */
  readonly socketTimeout?: Duration.DurationInput | undefined
}

/**
 * The driver's client.
 *
 * @since 0.1.0
 * @category tags
 */
export class Client extends Context.Tag("dbjobq/MongoStorage/Client")<Client, MongoClient>() {}

const check = (options: ClientOptions): void => {
  const { database, prefix } = options
  if (prefix !== undefined && !/^[A-Za-z_][A-Za-z0-9_.-]{0,47}$/.test(prefix)) {
    throw new InvalidOption({
      field: "prefix",
      rule: "must be 1 to 48 of A-Z a-z 0-9 _ . - and begin with a letter or _"
    })
  }
  if (database !== undefined && !/^[^/\\. "$*<>:|?\0]{1,63}$/.test(database)) {
    throw new InvalidOption({
      field: "database",
      rule: 'must be 1 to 63 characters, none of / \\ . " $ * < > : | ? space'
    })
  }
}

const serviceOn = (client: MongoClient, options: ClientOptions) =>
  Service.make({
    client,
    database: options.database,
    prefix: options.prefix ?? "dbjobq_",
    clock: options.clock ?? "store",
    createIndexes: options.createIndexes ?? true,
    changeStreams: options.changeStreams ?? true
  })

/**
 * The storage on the application's own client, which the application closes.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerClient = (options: ClientOptions = {}): Layer.Layer<JobStorage, StorageError, Client> => {
  check(options)
  return Layer.effect(
    JobStorage,
    Effect.flatMap(Client, (client) => serviceOn(client, options))
  )
}

const connect = (options: Options): Effect.Effect<MongoClient, StorageError, Scope.Scope> => {
  const url = typeof options.url === "string" ? options.url : Redacted.value(options.url)
  const connectTimeout = timeoutOrThrow("connectTimeout", options.connectTimeout ?? Duration.seconds(5))
  const socketTimeout = timeoutOrThrow("socketTimeout", options.socketTimeout ?? Duration.seconds(30))
  return Effect.acquireRelease(
    Effect.try({
      try: () =>
        new MongoClient(url, {
          appName: "dbjobq",
          maxPoolSize: options.maxConnections ?? 10,
          serverSelectionTimeoutMS: connectTimeout,
          connectTimeoutMS: connectTimeout,
          // more often than the default 10 seconds: a server that is back is found within one connectTimeout
          heartbeatFrequencyMS: 2_000,
          waitQueueTimeoutMS: socketTimeout,
          socketTimeoutMS: socketTimeout
        }),
      catch: (error) => storageError("open", error)
    }),
    (client) => Effect.ignore(Db.run("close", () => client.close()))
  ).pipe(Effect.tap((client) => Db.run("open", () => client.connect())))
}

/**
 * The storage with a client of its own. Fails within `connectTimeout` when no server is reached or it refuses the
 * credentials.
 *
 * @example
 * ```ts
 * import * as MongoStorage from "dbjobq/storage/MongoStorage"
 *
 * const Storage = MongoStorage.layer({ url: "mongodb://127.0.0.1:27017/app" })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<JobStorage | Client, StorageError> => {
  check(options)
  orThrow(int("maxConnections", options.maxConnections ?? 10, 3, 10_000))
  return Layer.provideMerge(layerClient(options), Layer.scoped(Client, connect(options)))
}

/**
 * The same with options from the application's configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  config: Config.Config.Wrap<Options>
): Layer.Layer<JobStorage | Client, StorageError | ConfigError> => LayerConfig.make(config, layer)

/**
 * Jobs that the effect enqueues are inserted with this session: in the transaction it has open they are there if and
 * only if it commits. Everything else the effect asks of the storage runs outside of it.
 *
 * The session must come from the storage's own client (`Client`). An error inside a transaction is never transient: the
 * server has aborted it, and only its owner can begin again. Needs a replica set or a sharded cluster.
 *
 * @example
 * ```ts
 * import { JobQueue } from "dbjobq"
 * import * as MongoStorage from "dbjobq/storage/MongoStorage"
 * import { Effect } from "effect"
 *
 * const order = Effect.gen(function* () {
 *   const client = yield* MongoStorage.Client
 *   const session = client.startSession()
 *   session.startTransaction()
 *   yield* Effect.promise(() => client.db().collection("orders").insertOne({ item: "book" }, { session }))
 *   yield* MongoStorage.withSession(session)(JobQueue.enqueue(SendReceipt, { item: "book" }))
 *   yield* Effect.promise(() => session.commitTransaction())
 * })
 * ```
 *
 * @since 0.1.0
 * @category transactions
 */
export const withSession =
  (session: ClientSession) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Session.locally(session, effect)
