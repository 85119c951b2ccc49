import type { Service } from "../../JobStorage.js"
import * as Rows from "../../Rows.js"
import type { Db } from "./db.js"
import { change } from "./records.js"

export const settle =
  (db: Db): Service["settle"] =>
  (outcomes) =>
    change(
      db,
      outcomes,
      ({ id }) => id,
      (row, outcome, now) => Rows.settle(outcome, now)(row)
    )
