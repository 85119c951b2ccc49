/**
 * Jobs in Amazon DynamoDB: durable, any number of machines, for queues that have outgrown one database.
 *
 * DynamoDB has no clock to ask. Due times and leases are judged by Effect's `Clock` in each process, so the machines'
 * clocks must agree to within `clockSkew`.
 *
 * @since 0.1.0
 */
import { DynamoDBClient } from "@aws-sdk/client-dynamodb"
import type * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as LayerConfig from "../internal/layerConfig.js"
import { int, millisOrThrow, timeoutOrThrow, orThrow } from "../internal/option.js"
import { InvalidOption, type StorageError } from "../JobError.js"
import { JobStorage } from "../JobStorage.js"
import * as Service from "./dynamo/service.js"

/**
 * How the storage behaves, whoever made the client.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClientOptions {
  /** The table's name; default `dbjobq`. */
  readonly table?: string | undefined
  /** Create the table, with on-demand capacity, when it is missing; default true. Its form is checked in any case. */
  readonly createTable?: boolean | undefined
  /**
   * Partitions that each ready index, and the index of each other state, is spread over; default 4. One carries about
   * 1,000 index writes a second. It may be raised at any time; lowering it leaves the old partitions being read.
   */
  readonly shards?: number | undefined
  /**
   * Milliseconds by which the clocks of any two machines may differ; default 1 second. A lease ends only when it has
   * passed by the sweeper's clock and was then seen unchanged for this long.
   */
  readonly clockSkew?: Duration.DurationInput | undefined
  /** Most requests one operation has under way; default 32. */
  readonly concurrency?: number | undefined
  /** How long to wait for the first answer; default 8 seconds. */
  readonly connectTimeout?: Duration.DurationInput | undefined
}

/**
 * The connection, and how the storage behaves.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends ClientOptions {
  /** Default: what the AWS environment says. */
  readonly region?: string | undefined
  /** Another address than the region's, for DynamoDB Local and the like. */
  readonly endpoint?: string | undefined
  /** Default: the AWS credential chain (environment, profile, role). */
  readonly credentials?:
    | {
        readonly accessKeyId: string
        readonly secretAccessKey: Redacted.Redacted | string
        readonly sessionToken?: Redacted.Redacted | string | undefined
      }
    | undefined
}

const tableRule = (table: string): InvalidOption | undefined =>
  /^[A-Za-z0-9_.-]{3,255}$/.test(table)
    ? undefined
    : new InvalidOption({ field: "table", rule: "must be 3 to 255 of A-Z a-z 0-9 _ . -" })

const settings = (options: ClientOptions): Omit<Service.Settings, "client"> => {
  const { concurrency = 32, shards = 4, table = "dbjobq" } = options
  orThrow(tableRule(table))
  orThrow(int("shards", shards, 1, 1_000))
  orThrow(int("concurrency", concurrency, 1, 1_000))
  return {
    table,
    shards,
    concurrency,
    clockSkew: Math.ceil(millisOrThrow("clockSkew", options.clockSkew ?? "1 second")),
    create: options.createTable ?? true,
    connectTimeout: Duration.millis(timeoutOrThrow("connectTimeout", options.connectTimeout ?? "8 seconds"))
  }
}

/**
 * The storage on the application's own client, which is left open.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerClient = (
  client: DynamoDBClient,
  options: ClientOptions = {}
): Layer.Layer<JobStorage, StorageError> => {
  const checked = settings(options)
  return Layer.effect(JobStorage, Service.make({ ...checked, client }))
}

const reveal = (value: Redacted.Redacted | string): string =>
  typeof value === "string" ? value : Redacted.value(value)

const connect = (options: Options, concurrency: number): DynamoDBClient => {
  const { credentials, endpoint, region } = options
  return new DynamoDBClient({
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credentials === undefined
      ? {}
      : {
          credentials: {
            accessKeyId: credentials.accessKeyId,
            secretAccessKey: reveal(credentials.secretAccessKey),
            ...(credentials.sessionToken === undefined ? {} : { sessionToken: reveal(credentials.sessionToken) })
          }
        }),
    maxAttempts: 3,
    requestHandler: {
      connectionTimeout: 2_000,
      requestTimeout: 5_000,
      throwOnRequestTimeout: true,
      httpsAgent: { maxSockets: 2 * concurrency },
      httpAgent: { maxSockets: 2 * concurrency }
    }
  })
}

/**
 * The storage with a client of its own. Fails within `connectTimeout` when the service cannot be reached or refuses the
 * credentials.
 *
 * @example
 * ```ts
 * import * as DynamoStorage from "dbjobq/storage/DynamoStorage"
 *
 * const Storage = DynamoStorage.layer({ region: "eu-north-1", table: "jobs", shards: 16 })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<JobStorage, StorageError> => {
  const checked = settings(options)
  return Layer.scoped(
    JobStorage,
    Effect.flatMap(
      Effect.acquireRelease(
        Effect.sync(() => connect(options, checked.concurrency)),
        (client) => Effect.sync(() => client.destroy())
      ),
      (client) => Service.make({ ...checked, client })
    )
  )
}

/**
 * The same with options from the application's configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (config: Config.Config.Wrap<Options>): Layer.Layer<JobStorage, StorageError | ConfigError> =>
  LayerConfig.make(config, layer)
