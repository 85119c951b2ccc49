/**
 * Claimed rows in one text: the driver of PostgreSQL takes each field of each row by itself, which costs more than all
 * the rest of a claim, where JSON is read at once and its numbers are numbers.
 */
import type { SqlError } from "@effect/sql/SqlError"
import type * as Statement from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import type { ClaimedJob } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { claimedColumns } from "./row.js"

interface Packed {
  /** Of the job whose payload this is; null where it is all the rows but their large payloads. */
  readonly id: string | null
  readonly text: string
}

/** Payloads over so many bytes come by themselves: no text may be longer than half a gigabyte. */
const large = 16_384

const unpack = (answer: ReadonlyArray<Packed>): ReadonlyArray<ClaimedJob> => {
  const packed = answer.find(({ id }) => id === null)
  if (packed === undefined) return []
  const rows: ReadonlyArray<ClaimedJob> = JSON.parse(packed.text)
  if (answer.length === 1) return rows
  const payloads = new Map(answer.map(({ id, text }) => [id, text]))
  return rows.map((row) => ({ ...row, payload: payloads.get(row.id) ?? row.payload }))
}

const columns = claimedColumns(`CASE WHEN octet_length(payload) <= ${large} THEN payload END`)

export const returning = (
  { sql }: Db,
  update: Statement.Fragment
): Effect.Effect<ReadonlyArray<ClaimedJob>, SqlError> =>
  Effect.map(
    sql<Packed>`WITH claimed AS (${update} RETURNING *)
SELECT NULL AS id, CAST(json_agg(slim) AS text) AS text
FROM (SELECT ${sql.literal(columns)} FROM claimed) AS slim HAVING count(*) > 0
UNION ALL SELECT id, payload FROM claimed WHERE octet_length(payload) > ${sql.literal(`${large}`)}`,
    unpack
  )
