/** Claims by a function that keeps its plan, and carries the settings that keep the planner from sorting the backlog. */
import * as Effect from "effect/Effect"
import { Claimed } from "../../internal/claimed.js"
import * as Monotonic from "../../internal/monotonic.js"
import type { ClaimedJob } from "../../JobStorage.js"
import type { Claim } from "./claimOrder.js"
import { byClaimOrder, largeClaim } from "./claimOrder.js"
import type { Db } from "./db.js"
import { whole } from "./db.js"
import * as PgCall from "./pgCall.js"

/** Milliseconds. What is more urgent than the backlog may be seen that much later. */
const goesOn = 500

/** The last of the rows in claim order, where they are all of one queue and name. */
const lastOfOne = (rows: ReadonlyArray<ClaimedJob>): ClaimedJob | undefined => {
  let last = rows[0]
  if (last === undefined) return undefined
  for (const row of rows) {
    if (row.name !== last.name || row.queue !== last.queue) return undefined
    if (byClaimOrder(row, last) > 0) last = row
  }
  return last
}

/**
 * While a long transaction is open, index entries of jobs that are claimed cannot be forgotten, and a claim from the
 * beginning walks over all of them. So a large one that follows a full one goes on where that ended, and for half a second
 * it is not looked whether something has come before that place.
 */
export const claimPg = (db: Db): Claim => {
  const call = PgCall.rows(
    db,
    "dbjobq_claim",
    12,
    (columns: ConstructorParameters<typeof Claimed>) => new Claimed(...columns)
  )
  /** Where the last claim ended, and when it was last begun from the beginning. */
  let reached: { readonly last: ClaimedJob; readonly since: number } | undefined
  return ({ exceptQueues, lease, limit, names, owner, queues }) =>
    Effect.gen(function* () {
      const present = yield* db.present
      const now = yield* Monotonic.now
      const before = limit < largeClaim || reached === undefined || now - reached.since > goesOn ? undefined : reached
      const from = before?.last
      const rows = yield* call([
        present,
        names,
        queues ?? null,
        exceptQueues ?? null,
        limit,
        owner,
        whole(lease),
        from?.queue ?? null,
        from?.name ?? null,
        from?.priority ?? null,
        from?.runAt ?? null,
        from?.id ?? null
      ])
      if (limit < largeClaim) return rows
      const last = rows.length < limit ? undefined : lastOfOne(rows)
      reached = last && { last, since: before?.since ?? now }
      return rows
    })
}
