/** The connection to Redis or Redis Cluster: how it opens, what it gives up, and how it ends. */
import { liveClock } from "../../internal/liveClock.js"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { Cluster, Redis, type RedisOptions } from "ioredis"
import { StorageError } from "../../JobError.js"
import * as Deadline from "./deadline.js"
import { storageError } from "./errors.js"
import * as Evaluate from "./evaluate.js"

type Client = Redis | Cluster

/** What the storage relies on is not to be chosen. */
export type DriverOptions = Omit<
  RedisOptions,
  "host" | "port" | "path" | "keyPrefix" | "readOnly" | "stringNumbers" | "monitor" | "retryStrategy"
>

export interface ConnectionOptions {
  readonly url: Redacted.Redacted | string
  readonly cluster: boolean
  /** Milliseconds. */
  readonly connectTimeout: number
  /** Milliseconds. */
  readonly commandTimeout: number
  readonly maxWaiting: number
  readonly redis: DriverOptions
}

export interface Connection {
  /** A connection for one subscriber, to the server or to any node of the cluster; it does not come back when lost. */
  readonly subscriber: () => Redis
  readonly run: Evaluate.Run
  readonly write: Evaluate.Run
}

const retryDelay = (times: number): number => Math.min(50 * 2 ** Math.min(times - 1, 6), 2_000)

const urlsOf = (url: Redacted.Redacted | string): ReadonlyArray<string> =>
  (typeof url === "string" ? url : Redacted.value(url)).split(/,(?=rediss?:\/\/)/)

interface Parsed {
  readonly host: string
  readonly port: number
  readonly options: RedisOptions
}

const badUrl = new StorageError({
  operation: "open",
  message: "open: url: must be redis://[user[:password]@]host[:port][/database], or rediss:// for TLS",
  isTransient: false
})

const parse = (text: string): Parsed | undefined => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const database = url === undefined ? "" : url.pathname.slice(1)
  if (url === undefined || !/^rediss?:$/.test(url.protocol) || !/^\d{0,5}$/.test(database)) return undefined
  const host = decodeURIComponent(url.hostname.replace(/^\[|\]$/g, "")) || "127.0.0.1"
  return {
    host,
    port: url.port === "" ? 6379 : Number(url.port),
    options: {
      ...(url.username === "" ? {} : { username: decodeURIComponent(url.username) }),
      ...(url.password === "" ? {} : { password: decodeURIComponent(url.password) }),
      ...(database === "" ? {} : { db: Number(database) }),
      ...(url.protocol === "rediss:" ? { tls: {} } : {})
    }
  }
}

const sharedOptions = (options: ConnectionOptions, first: Parsed): RedisOptions => ({
  ...first.options,
  ...options.redis,
  connectTimeout: options.connectTimeout,
  keepAlive: 10_000,
  // a lost connection fails what was under way at once: whether it is sent again is decided above the storage
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  // a primary that became a replica: the address may lead to another one now
  reconnectOnError: (error) => error.message.startsWith("READONLY"),
  connectionName: "dbjobq",
  lazyConnect: true
})

/** The connection for this hash tag, open until the scope closes. */
export const make = (
  options: ConnectionOptions,
  base: string,
  replication: Evaluate.Replication
): Effect.Effect<Connection, StorageError, Scope.Scope> =>
  Effect.gen(function* () {
    const nodes = urlsOf(options.url).flatMap((text) => parse(text) ?? [])
    const [first] = nodes
    if (first === undefined || nodes.length < urlsOf(options.url).length) return yield* badUrl
    const shared = sharedOptions(options, first)
    let opened = false
    const retry = (times: number) => (opened ? retryDelay(times) : null)
    let reason: unknown
    const client = yield* Effect.acquireRelease(
      Effect.sync(
        (): Client =>
          options.cluster
            ? new Cluster(
                nodes.map(({ host, port }) => ({ host, port })),
                {
                  redisOptions: shared,
                  clusterRetryStrategy: retry,
                  slotsRefreshTimeout: options.connectTimeout,
                  // what is sent again without the caller's knowledge may claim twice
                  retryDelayOnFailover: 0,
                  enableOfflineQueue: false,
                  lazyConnect: true
                }
              )
            : new Redis({ ...shared, host: first.host, port: first.port, retryStrategy: retry })
      ),
      (one) => Effect.sync(() => one.disconnect())
    )
    // the driver tells here why it could not connect, and prints what nobody listens to
    client.on("error", (error: unknown) => {
      reason = error
    })
    client.on("node error", (error: unknown) => {
      reason = error
    })
    yield* Effect.tryPromise({
      try: () => client.connect(),
      catch: (error) => storageError("open", reason ?? error)
    }).pipe(
      Effect.timeoutFail({
        duration: Duration.millis(options.connectTimeout),
        onTimeout: () => storageError("open", reason ?? new Error("no answer in time"))
      }),
      Effect.withClock(liveClock)
    )
    opened = true

    // a connection that is silent while a command waits is dead, also when nobody said so
    const deadline = Deadline.make(options.commandTimeout, () => {
      for (const { stream } of client instanceof Cluster ? client.nodes() : [client]) {
        stream?.destroy(new Error(`Socket timeout: nothing within ${options.commandTimeout} ms`))
      }
    })

    let turn = 0
    const subscriber = (): Redis => {
      const known = client instanceof Cluster ? client.nodes().map((node) => node.options) : nodes
      const { host, port } = known[turn++ % Math.max(1, known.length)] ?? first
      return new Redis({
        ...shared,
        ...(host === undefined ? {} : { host }),
        ...(port === undefined ? {} : { port }),
        retryStrategy: () => null,
        commandTimeout: options.commandTimeout,
        socketTimeout: options.commandTimeout
      })
    }

    return { subscriber, ...Evaluate.make(client, base, deadline, options.maxWaiting, replication) }
  })
