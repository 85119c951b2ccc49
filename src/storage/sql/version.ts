import * as Effect from "effect/Effect"
import { StorageError } from "../../JobError.js"

/** The first engine without the WAL-reset bug, which can corrupt a file that two processes write. */
const minimum = "3.51.3"

/** Compares the numbers at the beginning, so `10.11.2-MariaDB-log` is 10.11.2. */
export const older = (version: string, than: string): boolean => {
  const have = version.split(/[^0-9]/, 3).map(Number)
  for (const [index, need] of than.split(".").map(Number).entries()) {
    const part = have[index] ?? 0
    if (part !== need) return !(part > need)
  }
  return false
}

export const checkVersion = (version: string): Effect.Effect<void, StorageError> =>
  older(version, minimum)
    ? Effect.fail(
        new StorageError({
          operation: "open",
          message: `SQLite ${minimum} or later is needed, this driver has ${version}`,
          isTransient: false
        })
      )
    : Effect.void
