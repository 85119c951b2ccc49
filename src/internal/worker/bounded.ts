/** A storage as the loops see it: a call that gets no answer fails in time, or its loop would hang, looking healthy. */
import * as Effect from "effect/Effect"
import { StorageError } from "../../JobError.js"
import type { Service } from "../../JobStorage.js"
import { liveClock } from "../liveClock.js"

const within =
  (limit: number, operation: string) =>
  <A>(call: Effect.Effect<A, StorageError>): Effect.Effect<A, StorageError> =>
    Effect.clockWith((clock) =>
      Effect.withClock(
        Effect.timeoutFail(
          // also where the caller cannot be interrupted; the call itself is left to end as it may
          Effect.interruptible(Effect.disconnect(Effect.withClock(call, clock))),
          {
            duration: limit,
            onTimeout: () =>
              new StorageError({ operation, message: `${operation}: no answer within ${limit} ms`, isTransient: true })
          }
        ),
        liveClock
      )
    )

/** Every operation may be repeated after a lost reply, so giving up on one is safe. */
export const make = (storage: Service, limit: number): Service => ({
  ...storage,
  claim: (request) => within(limit, "claim")(storage.claim(request)),
  promote: (most) => within(limit, "promote")(storage.promote(most)),
  settle: (outcomes) => within(limit, "settle")(storage.settle(outcomes)),
  sweep: (request) => within(limit, "sweep")(storage.sweep(request)),
  dueSchedules: (most) => within(limit, "dueSchedules")(storage.dueSchedules(most)),
  fire: (fires) => within(limit, "fire")(storage.fire(fires))
})
