import * as Effect from "effect/Effect"
import type { ClaimRequest, Service } from "../../JobStorage.js"
import { claimMysql } from "./claimMysql.js"
import { claimPg } from "./claimPg.js"
import { claimSqlite } from "./claimSqlite.js"
import type { Db } from "./db.js"
import { byClaimOrder } from "./claimOrder.js"

const nothing = (request: ClaimRequest): boolean =>
  request.limit <= 0 || request.names.length === 0 || request.queues?.length === 0

/** Walks the ready index only, so its cost does not grow with finished or scheduled rows. */
export const claim = (db: Db): Service["claim"] => {
  const claimed = { pg: claimPg, sqlite: claimSqlite, mysql: claimMysql }[db.dialect](db)
  return (request) =>
    nothing(request)
      ? Effect.succeed([])
      : // as they come of RETURNING, or of several rounds, they have no order
        Effect.map(db.run("claim", claimed(request)), (rows) => [...rows].sort(byClaimOrder))
}
