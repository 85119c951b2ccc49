import * as Effect from "effect/Effect"
import type { Service } from "../../JobStorage.js"
import * as Rows from "../../Rows.js"
import type { Db } from "./db.js"
import { change } from "./records.js"

export const renew =
  (db: Db): Service["renew"] =>
  (holds, lease) =>
    change(
      db,
      holds,
      ({ id }) => id,
      (row, hold, now) => Rows.renew(hold, lease, now)(row)
    )

export const progress =
  (db: Db): Service["progress"] =>
  (hold, fraction, message) =>
    Effect.map(
      change(
        db,
        [hold],
        ({ id }) => id,
        (row) => Rows.progress(hold, fraction, message)(row)
      ),
      ([answer]) => answer === true
    )
