/** The order in which jobs are claimed: the best of each queue and name are merged, however each dialect reads them. */
import type { SqlError } from "@effect/sql/SqlError"
import type * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import type { ClaimedJob, ClaimRequest } from "../../JobStorage.js"

/** A claim that wants something. */
export type Claim = (request: ClaimRequest) => Effect.Effect<ReadonlyArray<ClaimedJob>, SqlError | StorageError>

/** Of one order's rows, beside its fair share. */
export const leastRead = 8

const byId = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

export const byClaimOrder = (a: ClaimedJob, b: ClaimedJob): number =>
  b.priority - a.priority || a.runAt - b.runAt || byId(a.id, b.id)
