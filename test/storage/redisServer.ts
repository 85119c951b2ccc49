/** Redis servers of the tests: one to share, and others that a test may break. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { Redis } from "ioredis"
import { freePort } from "./servers.js"
import { missing } from "./missing.js"

const named = process.env.DBJOBQ_TEST_REDIS_URL
const shared = named ?? "redis://127.0.0.1:6379"

const answers = async (url: string): Promise<boolean> => {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null, connectTimeout: 2_000 })
  client.on("error", () => {})
  try {
    await client.connect()
    return (await client.ping()) === "PONG"
  } catch {
    return false
  } finally {
    client.disconnect()
  }
}

const hasBinary = (): boolean => {
  try {
    execFileSync("redis-server", ["--version"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

/** Whether tests can start servers of their own. */
export const canStart = hasBinary()
if (!canStart) missing("no redis-server to be started")

/** The url of the server that tests share; undefined when there is none. */
export const redis = async (): Promise<string | undefined> => {
  if (await answers(shared)) return shared
  return missing(`no Redis at ${new URL(shared).host}`)
}

export const randomPrefix = (): string => `dbjobq-test-${randomBytes(6).toString("hex")}`

/** Runs commands on a connection of their own. */
export const withClient = <A>(url: string, use: (client: Redis) => Promise<A>): Effect.Effect<A> =>
  Effect.acquireUseRelease(
    Effect.sync(() => new Redis(url)),
    (client) => Effect.promise(() => use(client)),
    (client) => Effect.sync(() => client.disconnect())
  )

export const dropKeys = async (url: string, prefix: string): Promise<void> => {
  const client = new Redis(url)
  for await (const keys of client.scanStream({ match: `{${prefix}}:*`, count: 1_000 })) {
    if (keys.length > 0) await client.unlink(keys)
  }
  client.disconnect()
}

export interface Server {
  readonly port: number
  readonly url: string
  /** Kills it without a chance to save, and waits for the end. */
  readonly kill: Effect.Effect<void>
  /** Starts it again on its port and its files. */
  readonly start: Effect.Effect<void>
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
}

/** A server of this test's own, gone when the scope closes. */
export const start = (...args: ReadonlyArray<string>): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.gen(function* () {
    const port = yield* Effect.promise(freePort)
    const dir = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "dbjobq-redis-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
    )
    let child: ChildProcess | undefined
    const kill = Effect.async<void>((resume) => {
      const running = child
      child = undefined
      if (running === undefined || running.exitCode !== null || running.signalCode !== null) return resume(Effect.void)
      running.once("exit", () => resume(Effect.void))
      running.kill("SIGKILL")
    })
    const password = args[args.indexOf("--requirepass") + 1]
    const url = args.includes("--requirepass") ? `redis://:${password}@127.0.0.1:${port}` : `redis://127.0.0.1:${port}`
    const begin = Effect.gen(function* () {
      child = spawn(
        "redis-server",
        ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", dir, "--loglevel", "warning", ...args],
        { stdio: "ignore" }
      )
      yield* Effect.promise(() => answers(url)).pipe(
        Effect.filterOrFail((up) => up),
        Effect.retry(Schedule.spaced("50 millis").pipe(Schedule.upTo("15 seconds"))),
        Effect.orDie
      )
    })
    yield* Effect.addFinalizer(() => kill)
    yield* begin
    return {
      port,
      url,
      kill,
      start: begin,
      signal: (signal) => Effect.sync(() => child?.kill(signal))
    }
  })

/** One node that has all slots. */
export const startCluster = (...args: ReadonlyArray<string>): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* start("--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1", ...args)
    yield* withClient(server.url, (client) => client.cluster("ADDSLOTSRANGE", 0, 16383))
    yield* withClient(server.url, (client) => client.cluster("INFO")).pipe(
      Effect.filterOrFail((info) => info.includes("cluster_state:ok")),
      Effect.retry(Schedule.spaced("50 millis").pipe(Schedule.upTo("15 seconds"))),
      Effect.orDie
    )
    return server
  })
