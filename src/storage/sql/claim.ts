import * as Effect from "effect/Effect"
import type { ClaimedJob, ClaimRequest, Service } from "../../JobStorage.js"
import { claimMysql } from "./claimMysql.js"
import { claimSqlite } from "./claimSqlite.js"
import type { Db } from "./db.js"
import { whole } from "./db.js"
import * as PgCall from "./pgCall.js"
import type { Claim } from "./claimOrder.js"
import { byClaimOrder } from "./claimOrder.js"

const nothing = (request: ClaimRequest): boolean =>
  request.limit <= 0 || request.names.length === 0 || request.queues?.length === 0

/** By a function that keeps its plan, and carries the settings that keep the planner from sorting the backlog. */
const claimPg = (db: Db): Claim => {
  const call = PgCall.make(db, "dbjobq_claim", 7, "rows")
  return ({ exceptQueues, lease, limit, names, owner, queues }) =>
    Effect.flatMap(db.present, (now) =>
      call<ClaimedJob>([now, names, queues ?? null, exceptQueues ?? null, limit, owner, whole(lease)])
    )
}

/** Walks the ready index only, so its cost does not grow with finished or scheduled rows. */
export const claim = (db: Db): Service["claim"] => {
  const claimed = { pg: claimPg, sqlite: claimSqlite, mysql: claimMysql }[db.dialect](db)
  return (request) =>
    nothing(request)
      ? Effect.succeed([])
      : // as they come of RETURNING, or of several rounds, they have no order
        Effect.map(db.run("claim", claimed(request)), (rows) => [...rows].sort(byClaimOrder))
}
