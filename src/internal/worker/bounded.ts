/** A storage as the loops see it: a call that gets no answer fails in time, or its loop would hang, looking healthy. */
import * as Effect from "effect/Effect"
import { StorageError } from "../../JobError.js"
import type { Service } from "../../JobStorage.js"
import * as Patience from "../patience.js"
import { handBack } from "./handBack.js"

/** Every operation may be repeated after a lost reply, so giving up on one is safe. */
export const make = (storage: Service, limit: number): Service => {
  const within = <A>(
    operation: string,
    call: Effect.Effect<A, StorageError>,
    stray?: (answer: A) => Effect.Effect<void>
  ): Effect.Effect<A, StorageError> =>
    Patience.within(
      call,
      limit,
      Effect.suspend(() =>
        Effect.fail(
          new StorageError({ operation, message: `${operation}: no answer within ${limit} ms`, isTransient: true })
        )
      ),
      { stray }
    )

  return {
    ...storage,
    claim: (request) => within("claim", storage.claim(request), (rows) => handBack(storage, rows)),
    promote: (most) => within("promote", storage.promote(most)),
    settle: (outcomes) => within("settle", storage.settle(outcomes)),
    sweep: (request) => within("sweep", storage.sweep(request)),
    dueSchedules: (most) => within("dueSchedules", storage.dueSchedules(most)),
    fire: (fires) => within("fire", storage.fire(fires))
  }
}
