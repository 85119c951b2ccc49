/** Puts back the jobs of vanished workers and removes old finished rows, of whichever worker they were. */
import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import type { Service } from "../../JobStorage.js"
import * as failure from "../failure.js"
import * as metrics from "../metrics.js"
import type { Holds } from "./holds.js"
import { longestSleep } from "./longestSleep.js"
import type { Settings } from "./options.js"

const batch = 1_000
/** Between two full batches, so that a backlog does not hold up the rest. */
const breath = 100
const crashFailure = JSON.stringify(failure.stated("crashed", "WorkerCrashed", "the worker holding the job vanished"))

export const make = (
  storage: Service,
  settings: Settings,
  holds: Holds,
  /** Called when jobs were put back. */
  rescued: () => void
): { readonly turn: Effect.Effect<void, StorageError> } => {
  const kept = Object.values(settings.retention).map((millis) => millis ?? longestSleep)
  const atMost = Math.min(longestSleep, Math.max(settings.sweepInterval, Math.min(...kept)))

  return {
    turn: Effect.gen(function* () {
      const swept = yield* storage.sweep({
        limit: batch,
        crashLimit: settings.crashLimit,
        crashFailure,
        retention: settings.retention
      })
      yield* metrics.rescued(swept.rescued + swept.ended)
      if (swept.rescued + swept.ended > 0) {
        yield* Effect.logWarning("dbjobq: leases of workers that vanished have run out").pipe(
          Effect.annotateLogs({ putBack: swept.rescued, ended: swept.ended })
        )
      }
      if (swept.rescued > 0) rescued()
      if (swept.rescued >= batch || swept.ended >= batch || swept.removed >= batch) return yield* Effect.sleep(breath)
      if (storage.capabilities.wakeups !== "exact") return yield* Effect.sleep(settings.sweepInterval)
      // such a storage knows when there will be something to sweep, but for leases that are taken from now on
      yield* holds.signals.sweep.waitFor(Math.min(atMost, Math.max(1, swept.nextIn ?? atMost)))
    })
  }
}
