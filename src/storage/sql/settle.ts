import * as Effect from "effect/Effect"
import type { SqlError } from "@effect/sql/SqlError"
import type { StorageError } from "../../JobError.js"
import { leadsTo } from "../../internal/transitions.js"
import type { Outcome, Service, State } from "../../JobStorage.js"
import * as Change from "./change.js"
import type { Db } from "./db.js"
import { whole } from "./db.js"
import * as Mysql from "./mysql.js"
import type { Big } from "./row.js"
import { values } from "./values.js"

const delayOf = (outcome: Outcome): number =>
  outcome.to === "retry" || outcome.to === "snooze" ? whole(outcome.delay) : 0

const bodyOf = (outcome: Outcome): string | null => {
  switch (outcome.to) {
    case "complete":
      return outcome.result
    case "retry":
    case "fail":
      return outcome.failure
    default:
      return null
  }
}

const key = (id: string, token: Big): string => `${token} ${id}`

const assignments = `state = CASE
    WHEN v.kind = 'complete' THEN 'completed'
    WHEN v.kind = 'fail' THEN 'failed'
    WHEN v.kind = 'cancel' OR cancel_requested THEN 'cancelled'
    WHEN v.delay > 0 THEN 'scheduled'
    ELSE 'pending' END,
  run_at = CASE WHEN v.kind IN ('retry', 'snooze') AND NOT cancel_requested THEN n.t + v.delay ELSE run_at END,
  attempt = CASE WHEN v.kind IN ('snooze', 'release') AND attempt > 0 THEN attempt - 1 ELSE attempt END,
  result = CASE WHEN v.kind = 'complete' THEN v.body ELSE NULL END,
  failure = CASE
    WHEN v.kind IN ('fail', 'retry') THEN v.body
    WHEN v.kind = 'complete' THEN NULL
    ELSE failure END,
  finished_at = CASE WHEN v.kind IN ('complete', 'fail', 'cancel') OR cancel_requested THEN n.t ELSE NULL END,
  owner = NULL,
  lease_until = NULL`

const endsAll = (outcomes: ReadonlyArray<Outcome>): boolean =>
  outcomes.every(({ to }) => to === "complete" || to === "fail" || to === "cancel")

interface Settled {
  readonly id: string
  readonly token: Big
}

/** Answers with all of the chunk or with none: when any was refused, what the rows say now tells which. */
const updateMysql = (db: Db, outcomes: ReadonlyArray<Outcome>) => {
  const { sql } = db
  return Effect.gen(function* () {
    const now = yield* db.now
    const answer = yield* sql`UPDATE ${Mysql.values(
      sql,
      { k: "key", held: "bigint", kind: "key", delay: "bigint", body: "text" },
      outcomes.map((outcome) => [outcome.id, outcome.token, outcome.to, delayOf(outcome), bodyOf(outcome)])
    )} STRAIGHT_JOIN ${db.jobs} ON id = v.k JOIN (SELECT ${now} AS t) AS n
SET ${sql.literal(assignments)}
WHERE token = v.held AND owner IS NOT NULL`.raw
    const changed = Mysql.affectedRows(answer)
    if (changed > 0 && !endsAll(outcomes)) yield* db.tell("jobs")
    return changed === outcomes.length ? outcomes : []
  })
}

/**
 * Whether a row runs is asked by its owner: a predicate on `state` lets the planner walk the lease index instead of the
 * primary key, which makes the cost grow with the rows in flight.
 */
const update = (
  db: Db,
  outcomes: ReadonlyArray<Outcome>
): Effect.Effect<ReadonlyArray<Settled>, SqlError | StorageError> => {
  if (db.dialect === "mysql") {
    const sizeOf = (outcome: Outcome) => 200 + 3 * (bodyOf(outcome)?.length ?? 0)
    return Effect.map(
      Effect.forEach(Mysql.chunks(Mysql.inOrder(outcomes), 1_000, sizeOf), (part) => updateMysql(db, part)),
      (parts) => parts.flat()
    )
  }
  const { sql } = db
  const ids = outcomes.map((outcome) => outcome.id)
  const settled = values(db, {
    k: { type: "text", values: ids },
    held: { type: "bigint", values: outcomes.map((outcome) => outcome.token) },
    kind: { type: "text", values: outcomes.map((outcome) => outcome.to) },
    delay: { type: "bigint", values: outcomes.map(delayOf) },
    body: { type: "text", values: outcomes.map(bodyOf) }
  })
  return Effect.flatMap(db.now, (now) => {
    const statement = sql`UPDATE ${db.jobs} SET ${sql.literal(assignments)}
FROM ${settled}, (SELECT ${now} AS t) AS n
WHERE ${db.dialect === "pg" ? db.among("id", ids) : sql.literal("true")}
  AND id = v.k AND token = v.held AND owner IS NOT NULL`
    // a wake-up for what comes back only: jobs that end are the many
    return endsAll(outcomes)
      ? sql<Settled>`${statement} RETURNING id, token`
      : db.telling<Settled>("jobs", "id, token", statement)
  })
}

/** Of several outcomes for one hold the first is sent; the others are judged as repeats. */
const firstOfEachHold = (outcomes: ReadonlyArray<Outcome>): ReadonlyArray<Outcome> => {
  if (new Set(outcomes.map((outcome) => outcome.id)).size === outcomes.length) return outcomes
  const first = new Map<string, Outcome>()
  for (const outcome of outcomes) {
    const hold = key(outcome.id, outcome.token)
    if (!first.has(hold)) first.set(hold, outcome)
  }
  return [...first.values()]
}

const settled = (db: Db, outcomes: ReadonlyArray<Outcome>) =>
  Effect.gen(function* () {
    const sent = firstOfEachHold(outcomes)
    const rows = yield* update(db, sent)
    // the usual case: each hold once, and all of them good
    if (rows.length === outcomes.length) return outcomes.map(() => true)
    const applied = new Set(rows.map((row) => key(row.id, row.token)))
    const accepted = new Set(sent.filter((outcome) => applied.has(key(outcome.id, outcome.token))))
    const open = outcomes.filter((outcome) => !accepted.has(outcome))
    const found = yield* db.sql<{ readonly id: string; readonly token: Big; readonly state: State }>`SELECT
  id, token, state FROM ${db.jobs} WHERE ${db.among(
    "id",
    open.map((outcome) => outcome.id)
  )} ${db.latest}`
    const states = new Map(found.map((row) => [key(row.id, row.token), row.state]))
    return outcomes.map((outcome) => {
      if (accepted.has(outcome)) return true
      const state = states.get(key(outcome.id, outcome.token))
      // a token of 0 was never given to anyone
      return outcome.token > 0 && state !== undefined && leadsTo(outcome.to, state)
    })
  })

export const settle =
  (db: Db): Service["settle"] =>
  (outcomes) =>
    outcomes.length === 0
      ? Effect.succeed([])
      : db.run(
          "settle",
          // without RETURNING, a row that comes back might be claimed again before it is read
          db.dialect === "mysql" && !endsAll(outcomes) ? Change.unit(db, settled(db, outcomes)) : settled(db, outcomes)
        )
