import type { Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { change } from "./records.js"
import { leadsTo, settled } from "../../internal/transitions.js"

export const settle =
  (db: Db): Service["settle"] =>
  (outcomes) =>
    change(
      db,
      outcomes,
      ({ id }) => id,
      (row, outcome, now) => {
        if (row === undefined || row.token !== outcome.token) return { answer: false }
        if (row.state === "running") return { answer: true, next: settled(row, outcome, now) }
        // the same outcome again, after a lost reply; a token of 0 was never given to anyone
        return { answer: row.token > 0 && leadsTo(outcome.to, row.state) }
      }
    )
