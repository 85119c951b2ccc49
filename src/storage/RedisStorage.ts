/**
 * Jobs in Redis 7 or Redis Cluster: each operation one atomic script, due times by Redis's clock, wake-ups by pub/sub.
 *
 * How much an acknowledged job survives is set in Redis itself (`appendonly`, `appendfsync`) and by the option
 * `replicas`: docs/redis.md says what each setting can lose. Redis is another database than the caller's, so an enqueue
 * here is never part of an SQL transaction.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as LayerConfig from "../internal/layerConfig.js"
import { int, timeoutOrThrow, orThrow } from "../internal/option.js"
import { InvalidOption, type StorageError } from "../JobError.js"
import { JobStorage } from "../JobStorage.js"
import * as Connection from "./redis/connection.js"
import { check } from "./redis/open.js"
import * as Service from "./redis/service.js"

/**
 * Options of the storage.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * `redis://[user[:password]@]host[:port][/database]`, or `rediss://` for TLS. Of a cluster, one or more nodes separated
   * by commas; user and password of the first one hold for all.
   */
  readonly url: Redacted.Redacted | string
  /** The url names nodes of a Redis Cluster; default false. */
  readonly cluster?: boolean | undefined
  /**
   * Storages with the same prefix share their jobs; default `dbjobq`. All keys begin with `{prefix}:`, so that a cluster
   * keeps them on one node.
   */
  readonly prefix?: string | undefined
  /** Whose clock judges due times and leases; default `store`. */
  readonly clock?: "store" | "effect" | undefined
  /** How long the layer waits for the server before it fails; default 5 seconds, at most 10 seconds. */
  readonly connectTimeout?: Duration.DurationInput | undefined
  /** How long an operation waits for its answer before it fails as transient; default 5 seconds. */
  readonly commandTimeout?: Duration.DurationInput | undefined
  /** How many operations may wait while the connection is lost, before others fail at once; default 1000. */
  readonly maxWaiting?: number | undefined
  /**
   * Enqueues that arrive one by one while another is on its way go together in the next script; each still returns only
   * when its own job is written. Default true; false sends each by itself.
   */
  readonly groupCommit?: boolean | undefined
  /** How many replicas must have a write before it is acknowledged (Redis's WAIT); default 0. */
  readonly replicas?: number | undefined
  /** How long to wait for them before the operation fails as transient; default 1 second. */
  readonly replicaTimeout?: Duration.DurationInput | undefined
  /** Start also when `maxmemory-policy` lets Redis drop keys, and so jobs; default false. */
  readonly allowEviction?: boolean | undefined
  /** What else ioredis should know: certificates (`tls`), Sentinel (`sentinels`, `name`). The options above come first. */
  readonly redis?: Connection.DriverOptions | undefined
}

const checkPrefix = (prefix: string): InvalidOption | undefined =>
  /^[A-Za-z0-9_.:-]{1,64}$/.test(prefix)
    ? undefined
    : new InvalidOption({ field: "prefix", rule: "must be 1 to 64 of A-Z a-z 0-9 _ . : -" })

const atMost = (field: string, millis: number, max: number): InvalidOption | undefined =>
  millis <= max ? undefined : new InvalidOption({ field, rule: `must be at most ${max} ms` })

/**
 * The storage with connections of its own: one for operations, and one for each worker's wake-ups. Fails within
 * `connectTimeout` when the server is down, refuses TLS or the credentials, or may evict jobs.
 *
 * @example
 * ```ts
 * import * as RedisStorage from "dbjobq/storage/RedisStorage"
 *
 * const Storage = RedisStorage.layer({ url: "redis://localhost:6379" })
 * ```
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<JobStorage, StorageError> => {
  const { clock = "store", cluster = false, maxWaiting = 1_000, prefix = "dbjobq", replicas = 0 } = options
  const connectTimeout = timeoutOrThrow("connectTimeout", options.connectTimeout ?? "5 seconds")
  const commandTimeout = timeoutOrThrow("commandTimeout", options.commandTimeout ?? "5 seconds")
  const timeout = timeoutOrThrow("replicaTimeout", options.replicaTimeout ?? "1 second")
  orThrow(atMost("connectTimeout", connectTimeout, 10_000))
  orThrow(atMost("replicaTimeout", timeout, commandTimeout))
  orThrow(int("maxWaiting", maxWaiting, 1, 1_000_000))
  orThrow(int("replicas", replicas, 0, 100))
  orThrow(checkPrefix(prefix))
  const base = `{${prefix}}:`
  return Layer.scoped(
    JobStorage,
    Effect.gen(function* () {
      const connection = yield* Connection.make(
        { url: options.url, cluster, connectTimeout, commandTimeout, maxWaiting, redis: options.redis ?? {} },
        base,
        { replicas, timeout }
      )
      yield* check(connection, options.allowEviction ?? false)
      return Service.make(connection, base, clock === "store", options.groupCommit ?? true)
    })
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
