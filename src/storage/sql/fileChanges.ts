/** Signs that some process writes to a SQLite database, this one too. */
import { watch } from "node:fs"
import { basename, dirname } from "node:path"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/**
 * The directory is watched, as the write-ahead log is removed by the last process that closes the database and made by
 * the next that opens it. Ends, with a warning, where that is not possible or no longer.
 */
export const fileChanges = (path: string): Stream.Stream<void> => {
  const names = new Set([basename(path), `${basename(path)}-wal`])
  const signs = Stream.asyncPush<void>(
    (emit) => {
      const end = () => emit.end()
      const watching = Effect.try(() =>
        watch(dirname(path), { persistent: false }, (_, name) => {
          if (name === null || names.has(name)) emit.single(undefined)
        }).on("error", end)
      )
      return Effect.acquireRelease(Effect.option(watching), (watcher) =>
        Effect.sync(() => {
          if (watcher._tag === "Some") watcher.value.close()
        })
      ).pipe(Effect.map((watcher) => (watcher._tag === "Some" ? true : end())))
    },
    { bufferSize: 1, strategy: "sliding" }
  )
  const told = Effect.logWarning(`dbjobq: ${path} cannot be watched; workers hear of other processes when they poll`)
  return Stream.concat(signs, Stream.drain(Stream.fromEffect(told)))
}
