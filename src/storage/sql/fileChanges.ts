/** Signs that some process writes to a SQLite database, this one too. */
import { watch } from "node:fs"
import { basename, dirname } from "node:path"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/**
 * The directory is watched, as the write-ahead log is removed by the last process that closes the database and made by
 * the next that opens it. Ends, with a warning, where that is not possible.
 */
export const fileChanges = (path: string): Stream.Stream<void> =>
  Stream.asyncPush<void>(
    (emit) => {
      const names = new Set([basename(path), `${basename(path)}-wal`])
      const unwatched = Effect.zipRight(
        Effect.logWarning(`dbjobq: ${path} cannot be watched; workers hear of other processes when they poll`),
        Effect.sync(() => emit.end())
      )
      const watching = Effect.try(() =>
        watch(dirname(path), { persistent: false }, (_, name) => {
          if (name === null || names.has(name)) emit.single(undefined)
        }).on("error", () => emit.end())
      )
      return Effect.acquireRelease(Effect.option(watching), (watcher) =>
        Effect.sync(() => {
          if (watcher._tag === "Some") watcher.value.close()
        })
      ).pipe(Effect.flatMap((watcher) => (watcher._tag === "Some" ? Effect.void : unwatched)))
    },
    { bufferSize: 1, strategy: "sliding" }
  )
