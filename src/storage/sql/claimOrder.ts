/**
 * The order in which jobs are claimed. An index has one for each queue and name (on MySQL: for each name); a claim merges
 * those that are its worker's, in the way of each dialect.
 */
import type { SqlError } from "@effect/sql/SqlError"
import type * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import type { ClaimedJob, ClaimRequest } from "../../JobStorage.js"

/** A claim that wants something. */
export type Claim = (request: ClaimRequest) => Effect.Effect<ReadonlyArray<ClaimedJob>, SqlError | StorageError>

/** A claim of fewer jobs is that of a worker that does not claim ahead, or is idle. */
export const largeClaim = 100

/** So many rows more than its fair share are read of each order: those of one are seldom spread evenly. */
export const leastRead = 8

const byId = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

export type Place = Pick<ClaimedJob, "id" | "priority" | "runAt">

export const byClaimOrder = (a: Place, b: Place): number =>
  b.priority - a.priority || a.runAt - b.runAt || byId(a.id, b.id)
