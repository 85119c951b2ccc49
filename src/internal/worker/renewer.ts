/** Extends the leases of all held jobs at a third of their length, and interrupts those that are lost or cancelled. */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import type { Service } from "../../JobStorage.js"
import * as metrics from "../metrics.js"
import type { Held, Holds } from "./holds.js"
import type { Settings } from "./options.js"

const batch = 1_000

export const make = (
  storage: Service,
  settings: Settings,
  holds: Holds
): { readonly turn: Effect.Effect<void, StorageError | Cause.TimeoutException> } => {
  const third = settings.lease / 3

  const lose = (entry: Held): Effect.Effect<void> =>
    Effect.logWarning("dbjobq: lease lost, the job is interrupted").pipe(
      Effect.annotateLogs({ job: entry.row.name, jobId: entry.row.id, attempt: entry.row.attempt }),
      Effect.zipRight(metrics.leaseLost),
      Effect.zipRight(Effect.sync(() => holds.interrupt(entry, "lost"))),
      // a handler may take long to let go of what it was told already
      Effect.when(() => entry.reason === undefined),
      Effect.asVoid
    )

  const renew = Effect.gen(function* () {
    const entries = [...holds.byId.values()].filter((entry) => !entry.refused)
    for (let i = 0; i < entries.length; i += batch) {
      const part = entries.slice(i, i + batch)
      const now = yield* Clock.currentTimeMillis
      const answers = yield* storage.renew(
        part.map(({ row }) => ({ id: row.id, token: row.token })),
        settings.lease
      )
      for (const [k, entry] of part.entries()) {
        if (holds.byId.get(entry.row.id) !== entry || entry.phase === "settling") continue
        if (answers[k] === "lost") yield* lose(entry)
        else {
          entry.leaseEnd = now + settings.lease
          if (answers[k] === "cancelRequested") holds.interrupt(entry, "cancelled")
        }
      }
    }
  })

  // a storage that does not answer must not keep a job running, or its outcome waiting, past the lease
  const expire = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    for (const entry of [...holds.byId.values()]) {
      if (entry.leaseEnd > now) continue
      if (entry.phase !== "settling") yield* lose(entry)
      else if (entry.refused) holds.release(entry)
    }
  })

  return {
    turn: Effect.suspend(() =>
      holds.byId.size === 0
        ? holds.signals.renew.wait
        : Effect.zipRight(
            Effect.sleep(third),
            Effect.ensuring(Effect.asVoid(Effect.timeout(Effect.disconnect(renew), third)), expire)
          )
    )
  }
}
