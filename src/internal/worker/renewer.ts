/** Extends the leases of all held jobs at a third of their length, and interrupts those that are lost or cancelled. */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import type { Service } from "../../JobStorage.js"
import { lose } from "./deadlines.js"
import type { Holds } from "./holds.js"
import * as Monotonic from "../monotonic.js"
import type { Settings } from "./options.js"

const batch = 1_000

export const make = (
  storage: Service,
  settings: Settings,
  holds: Holds
): { readonly turn: Effect.Effect<void, StorageError | Cause.TimeoutException> } => {
  const third = settings.lease / 3
  // after a failure it is still due, so the next turn tries at once
  let due = 0

  const renew = Effect.gen(function* () {
    const entries = [...holds.byId.values()].filter((entry) => !entry.refused && entry.reason !== "lost")
    for (let i = 0; i < entries.length; i += batch) {
      const part = entries.slice(i, i + batch)
      const now = yield* Monotonic.now
      const answers = yield* storage.renew(
        part.map(({ row }) => ({ id: row.id, token: row.token })),
        settings.lease
      )
      for (const [k, entry] of part.entries()) {
        if (!entry.held || entry.phase === "settling") continue
        if (answers[k] === "lost") yield* lose(holds, entry)
        else {
          entry.leaseEnd = now + settings.lease
          if (answers[k] === "cancelRequested") holds.interrupt(entry, "cancelled")
        }
      }
    }
  })

  const held = Effect.gen(function* () {
    const now = yield* Monotonic.now
    if (due > now) yield* Effect.sleep(Math.ceil(due - now))
    yield* Effect.timeout(Effect.disconnect(renew), third)
    due = (yield* Monotonic.now) + third
  })

  return {
    turn: Effect.suspend(() =>
      holds.byId.size > 0
        ? held
        : Effect.zipRight(
            holds.signals.renew.wait,
            Effect.map(Monotonic.now, (now) => {
              // a third after the claim was asked for, which may have been a while ago
              due = now + third
              for (const { leaseEnd } of holds.byId.values()) due = Math.min(due, leaseEnd - 2 * third)
            })
          )
    )
  }
}
