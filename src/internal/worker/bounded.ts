/** A storage as the loops see it: a call that gets no answer fails in time, or its loop would hang, looking healthy. */
import * as Effect from "effect/Effect"
import { StorageError } from "../../JobError.js"
import type { ClaimedJob, Service } from "../../JobStorage.js"
import * as Patience from "../patience.js"

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
      Effect.fail(
        new StorageError({ operation, message: `${operation}: no answer within ${limit} ms`, isTransient: true })
      ),
      stray
    )

  // jobs that come when nobody waits for them any more would run nowhere until their lease has ended
  const handBack = (rows: ReadonlyArray<ClaimedJob>): Effect.Effect<void> =>
    Effect.ignore(storage.settle(rows.map(({ id, token }) => ({ id, token, to: "release" }))))

  return {
    ...storage,
    claim: (request) => within("claim", storage.claim(request), handBack),
    promote: (most) => within("promote", storage.promote(most)),
    settle: (outcomes) => within("settle", storage.settle(outcomes)),
    sweep: (request) => within("sweep", storage.sweep(request)),
    dueSchedules: (most) => within("dueSchedules", storage.dueSchedules(most)),
    fire: (fires) => within("fire", storage.fire(fires))
  }
}
