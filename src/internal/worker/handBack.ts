/** Gives claimed jobs back that nobody here will run: they would wait for the end of their leases, and count a crash. */
import * as Effect from "effect/Effect"
import type { ClaimedJob, Service } from "../../JobStorage.js"

/** Where the storage does not take them back either, the sweep does. */
export const handBack = (storage: Service, rows: ReadonlyArray<ClaimedJob>): Effect.Effect<void> =>
  rows.length === 0
    ? Effect.void
    : Effect.ignore(storage.settle(rows.map(({ id, token }) => ({ id, token, to: "release" }))))
