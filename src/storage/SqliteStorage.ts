/**
 * Jobs in a SQLite file: durable, no server, one machine. Workers hear of other processes by watching the file; where
 * its file system tells nothing, they poll.
 *
 * @since 0.1.0
 */
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import type * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { InvalidOption, StorageError } from "../JobError.js"
import type { JobStorage, Transactional } from "../JobStorage.js"
import * as LayerConfig from "../internal/layerConfig.js"
import { orThrow } from "../internal/option.js"
import { retryContention, storageError } from "./sql/db.js"
import { isContention } from "./sql/isTransient.js"
import { fileChanges } from "./sql/fileChanges.js"
import * as Service from "./sql/service.js"
import * as SqliteClient from "./sql/sqliteClient.js"
import * as SqliteDriver from "./sql/sqliteDriver.js"
import { checkVersion } from "./sql/version.js"

/**
 * Options of the storage.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The path of the file, created when missing; `:memory:` for a queue that ends with the process. */
  readonly filename: string
  /** `full` survives a power cut; `normal` may lose the last commits then, never the file. Default `full`. */
  readonly synchronous?: "full" | "normal" | undefined
  /** Create and upgrade the tables when the layer is built; default true. */
  readonly migrate?: boolean | undefined
  /**
   * Enqueues that are about to be written at one time share a write and its commit; each still returns only when its own
   * job is as durable as if written alone. Default true; false writes each by itself.
   */
  readonly groupCommit?: boolean | undefined
}

const checkFilename = (filename: unknown): InvalidOption | undefined =>
  typeof filename === "string" && filename.trim() !== ""
    ? undefined
    : new InvalidOption({ field: "filename", rule: "must be a path or :memory:, or the jobs would be gone at the end" })

/** With the file's name, as a program may have several. */
const named = (filename: string, { cause, isTransient, message, operation }: StorageError): StorageError =>
  new StorageError({
    operation,
    // the driver's own check of the directory has no code, and so none of its words are repeated elsewhere
    message: `${filename}: ${cause instanceof TypeError ? cause.message : message}`,
    isTransient,
    cause
  })

const open = (filename: string) =>
  Effect.flatMap(
    Effect.mapError(SqliteDriver.open(filename), (cause) => storageError("open", cause)),
    SqliteClient.make
  )

const build = (options: Options) =>
  Effect.gen(function* () {
    const { client: sql, writeAll } = yield* retryContention(open(options.filename), (error) =>
      isContention(error.cause)
    )
    const databases = yield* Effect.mapError(
      sql<{ readonly file: string }>`SELECT file FROM pragma_database_list WHERE name = 'main'`,
      (error) => storageError("open", error)
    )
    // where SQLite itself finds it, whatever links and working directories the name goes through
    const path = databases[0]?.file ?? ""
    const version = yield* Effect.mapError(
      sql<{ readonly version: string }>`SELECT sqlite_version() AS version`,
      (error) => storageError("open", error)
    )
    yield* checkVersion(version[0]?.version ?? "unknown")
    const full = options.synchronous !== "normal"
    // a short wait only: it blocks the event loop, the rest of the waiting is done in Effect
    yield* Effect.mapError(
      Effect.all([
        sql`PRAGMA busy_timeout = 50`,
        full ? sql`PRAGMA synchronous = FULL` : sql`PRAGMA synchronous = NORMAL`,
        // what a statement sorts or sets aside is small, and a file for it costs as much as the statement
        sql`PRAGMA temp_store = MEMORY`,
        // a commit writes pages that the next writes again: the more of them meet in the log, the fewer are copied from it
        sql`PRAGMA wal_autocheckpoint = 4000`
      ]),
      (error) => storageError("open", error)
    )
    const context = yield* Service.make({
      sql,
      writeAll,
      migrate: options.migrate,
      groupCommit: options.groupCommit,
      exclusive: true,
      changes: path === "" ? undefined : fileChanges(path),
      durable: options.filename !== ":memory:"
    })
    return Context.add(context, SqlClient.SqlClient, sql)
  }).pipe(Effect.mapError((error) => named(options.filename, error)))

/**
 * The storage in a file, with the `SqlClient` on it, so that the application's own writes can share its transactions.
 * While another process keeps the file locked, an operation waits without blocking, for about a minute before it fails;
 * `Effect.timeout` ends the wait sooner.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options
): Layer.Layer<JobStorage | Transactional | SqlClient.SqlClient, StorageError> => {
  orThrow(checkFilename(options.filename))
  return Layer.scopedContext(build(options)).pipe(Layer.provide(Reactivity.layer))
}

/**
 * The same with options from the application's configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  config: Config.Config.Wrap<Options>
): Layer.Layer<JobStorage | Transactional | SqlClient.SqlClient, StorageError | ConfigError> =>
  LayerConfig.make(config, layer)
