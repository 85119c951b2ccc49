import * as Effect from "effect/Effect"
import type { Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { change } from "./records.js"

export const renew =
  (db: Db): Service["renew"] =>
  (holds, lease) =>
    change(
      db,
      holds,
      ({ id }) => id,
      (row, { token }, now) =>
        row?.state === "running" && row.token === token
          ? { answer: row.cancelRequested ? "cancelRequested" : "held", next: { ...row, leaseUntil: now + lease } }
          : { answer: "lost" }
    )

export const progress =
  (db: Db): Service["progress"] =>
  (hold, progress, progressMessage) =>
    Effect.map(
      change(
        db,
        [hold],
        ({ id }) => id,
        (row, { token }) =>
          row?.state === "running" && row.token === token
            ? { answer: true, next: { ...row, progress, progressMessage } }
            : { answer: false }
      ),
      ([answer]) => answer === true
    )
