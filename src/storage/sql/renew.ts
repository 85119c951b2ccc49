import * as Effect from "effect/Effect"
import type { Hold, Service } from "../../JobStorage.js"
import * as Change from "./change.js"
import type { Db } from "./db.js"
import { whole } from "./db.js"
import * as Mysql from "./mysql.js"
import type { Big } from "./row.js"
import { splitRepeats } from "./repeats.js"
import { byId } from "./values.js"

const key = (id: string, token: Big): string => `${token} ${id}`

interface Renewed {
  readonly id: string
  readonly token: Big
  readonly cancel_requested: boolean | number
}

/** A hold that is still good after the update was good during it, as a token never comes back. */
const renewMysql = (db: Db, holds: ReadonlyArray<Hold>, lease: number) =>
  Effect.gen(function* () {
    const { sql } = db
    const held = sql`${db.ids(holds.map((hold) => hold.id))} AND owner IS NOT NULL`
    const now = yield* db.now
    yield* sql`UPDATE ${Mysql.values(
      sql,
      { k: "key", held: "bigint" },
      Mysql.inOrder(holds).map((hold) => [hold.id, hold.token])
    )} STRAIGHT_JOIN ${db.jobs} ON id = v.k
SET lease_until = ${now} + ${db.cast(whole(lease), "bigint")}
WHERE token = v.held AND owner IS NOT NULL`
    return yield* sql<Renewed>`SELECT id, token, cancel_requested FROM ${db.jobs} WHERE ${held} ${db.latest}`
  })

const update = (db: Db, holds: ReadonlyArray<Hold>, lease: number) =>
  Effect.flatMap(db.now, (now) => {
    const renewed = byId(db, holds, { held: { type: "bigint", of: (hold) => hold.token } })
    return db.sql<Renewed>`UPDATE ${db.jobs}
SET lease_until = ${now} + ${db.cast(whole(lease), "bigint")}
FROM ${renewed.from}
WHERE ${renewed.where} AND token = ${db.sql.literal(renewed.of("held"))} AND owner IS NOT NULL
RETURNING id, token, cancel_requested`
  })

export const renew =
  (db: Db): Service["renew"] =>
  (holds, lease) =>
    holds.length === 0
      ? Effect.succeed([])
      : db
          .run(
            "renew",
            db.dialect === "mysql"
              ? renewMysql(db, holds, lease)
              : Effect.map(
                  Effect.forEach(splitRepeats(holds), (part) => update(db, part, lease)),
                  (parts) => parts.flat()
                )
          )
          .pipe(
            Effect.map((rows) => {
              const held = new Map(rows.map((row) => [key(row.id, row.token), Boolean(row.cancel_requested)]))
              return holds.map((hold) => {
                const cancelled = held.get(key(hold.id, hold.token))
                return cancelled === undefined ? "lost" : cancelled ? "cancelRequested" : "held"
              })
            })
          )

export const progress =
  (db: Db): Service["progress"] =>
  (hold, value, message) =>
    db
      .run(
        "progress",
        Change.update(db, {
          table: db.jobs,
          set: db.sql`progress = ${value}, progress_message = ${message}`,
          where: db.sql`id = ${hold.id} AND token = ${hold.token} AND owner IS NOT NULL`,
          returning: "id"
        })
      )
      .pipe(Effect.map((rows) => rows.length > 0))
