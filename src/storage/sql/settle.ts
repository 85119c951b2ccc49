import type { SqlError } from "@effect/sql/SqlError"
import type * as Statement from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import { leadsTo } from "../../internal/transitions.js"
import type { Outcome, Service, State } from "../../JobStorage.js"
import { affected } from "./affected.js"
import * as Change from "./change.js"
import { chunks } from "./chunks.js"
import type { Db } from "./db.js"
import { whole } from "./db.js"
import * as Mysql from "./mysql.js"
import type { Big } from "./row.js"
import { splitRepeats } from "./repeats.js"
import { type ById, byId } from "./values.js"

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

/** `v` says how a row finds its outcome's values. */
const assignments = (v: ById["of"]): string => `state = CASE
    WHEN ${v("kind")} = 'complete' THEN 'completed'
    WHEN ${v("kind")} = 'fail' THEN 'failed'
    WHEN ${v("kind")} = 'cancel' OR cancel_requested THEN 'cancelled'
    WHEN ${v("delay")} > 0 THEN 'scheduled'
    ELSE 'pending' END,
  run_at = CASE WHEN ${v("kind")} IN ('retry', 'snooze') AND NOT cancel_requested THEN n.t + ${v("delay")} ELSE run_at END,
  attempt = CASE WHEN ${v("kind")} IN ('snooze', 'release') AND attempt > 0 THEN attempt - 1 ELSE attempt END,
  result = CASE WHEN ${v("kind")} = 'complete' THEN ${v("body")} ELSE NULL END,
  failure = CASE
    WHEN ${v("kind")} IN ('fail', 'retry') THEN ${v("body")}
    WHEN ${v("kind")} = 'complete' THEN NULL
    ELSE failure END,
  finished_at = CASE WHEN ${v("kind")} IN ('complete', 'fail', 'cancel') OR cancel_requested THEN n.t ELSE NULL END,
  owner = NULL,
  lease_until = NULL`

const endsAll = (outcomes: ReadonlyArray<Outcome>): boolean =>
  outcomes.every(({ to }) => to === "complete" || to === "fail" || to === "cancel")

interface Settled {
  readonly id: string
  readonly token: Big
}

/** When any was refused, what the rows say now tells which. */
const allOrNone = (outcomes: ReadonlyArray<Outcome>, answer: unknown): ReadonlyArray<Outcome> =>
  affected(answer) === outcomes.length ? outcomes : []

const updateMysql = (db: Db, outcomes: ReadonlyArray<Outcome>) => {
  const { sql } = db
  return Effect.gen(function* () {
    const now = yield* db.now
    const answer = yield* sql`UPDATE ${Mysql.values(
      sql,
      { k: "key", held: "bigint", kind: "key", delay: "bigint", body: "text" },
      outcomes.map((outcome) => [outcome.id, outcome.token, outcome.to, delayOf(outcome), bodyOf(outcome)])
    )} STRAIGHT_JOIN ${db.jobs} ON id = v.k JOIN (SELECT ${now} AS t) AS n
SET ${sql.literal(assignments((column) => `v.${column}`))}
WHERE token = v.held AND owner IS NOT NULL`.raw
    if (affected(answer) !== 0 && !endsAll(outcomes)) yield* db.tell("jobs")
    return allOrNone(outcomes, answer)
  })
}

/**
 * Whether a row runs is asked by its owner: a predicate on `state` lets the planner walk the lease index instead of the
 * primary key, which makes the cost grow with the rows in flight.
 */
const statement = (db: Db, outcomes: ReadonlyArray<Outcome>) => {
  const settled = byId(db, outcomes, {
    held: { type: "bigint", of: (outcome) => outcome.token },
    kind: { type: "text", of: (outcome) => outcome.to },
    delay: { type: "bigint", of: delayOf },
    body: { type: "text", of: bodyOf }
  })
  return Effect.map(
    db.now,
    (now) => db.sql`UPDATE ${db.jobs} SET ${db.sql.literal(assignments(settled.of))}
FROM ${settled.from}, (SELECT ${now} AS t) AS n
WHERE ${settled.where} AND token = ${db.sql.literal(settled.of("held"))} AND owner IS NOT NULL`
  )
}

/** Which were settled is told only when not all of them were. */
const endPg = (
  db: Db,
  outcomes: ReadonlyArray<Outcome>,
  update: Statement.Fragment
): Effect.Effect<ReadonlyArray<Settled>, SqlError> =>
  Effect.map(
    db.sql<{ readonly ids: string | null; readonly settled: number }>`WITH settled AS (${update} RETURNING id)
SELECT CAST(n.settled AS integer) AS settled, CASE WHEN n.settled < ${outcomes.length} THEN
  (SELECT CAST(json_agg(id) AS text) FROM settled) END AS ids
FROM (SELECT count(*) AS settled FROM settled) AS n`,
    ([answer]) => {
      if (answer?.settled === outcomes.length) return outcomes
      const ids = new Set<string>(JSON.parse(answer?.ids ?? "[]"))
      return outcomes.filter(({ id }) => ids.has(id))
    }
  )

const update = (
  db: Db,
  outcomes: ReadonlyArray<Outcome>
): Effect.Effect<ReadonlyArray<Settled>, SqlError | StorageError> => {
  if (db.dialect === "mysql") return updateMysql(db, outcomes)
  return Effect.flatMap(statement(db, outcomes), (changing) => {
    // a wake-up for what comes back only: jobs that end are the many
    if (!endsAll(outcomes)) return db.telling<Settled>("jobs", "id, token", changing)
    return db.dialect === "pg"
      ? endPg(db, outcomes, changing)
      : Effect.map(db.sql`${changing}`.raw, (answer) => allOrNone(outcomes, answer))
  })
}

/** Outcomes in one statement. */
const most = 1_000

const sizeOf = (outcome: Outcome): number => 200 + 3 * (bodyOf(outcome)?.length ?? 0)

/** Of several outcomes for one hold the first is sent; the others are judged as repeats. */
const firstOfEachHold = (outcomes: ReadonlyArray<Outcome>): ReadonlyArray<Outcome> => {
  const first = new Map<string, Outcome>()
  for (const outcome of outcomes) {
    const hold = key(outcome.id, outcome.token)
    if (!first.has(hold)) first.set(hold, outcome)
  }
  return [...first.values()]
}

const partsOf = (db: Db, outcomes: ReadonlyArray<Outcome>): ReadonlyArray<ReadonlyArray<Outcome>> => {
  const parts = splitRepeats(outcomes)
  const sent = parts.length === 1 ? parts : splitRepeats(firstOfEachHold(outcomes))
  return sent.flatMap((part) => chunks(db.dialect === "mysql" ? Mysql.inOrder(part) : part, most, sizeOf))
}

const settled = (db: Db, outcomes: ReadonlyArray<Outcome>) =>
  Effect.gen(function* () {
    const parts = partsOf(db, outcomes)
    const rows = (yield* Effect.forEach(parts, (part) => update(db, part))).flat()
    // the usual case: each hold once, and all of them good
    if (rows.length === outcomes.length) return outcomes.map(() => true)
    const applied = new Set(rows.map((row) => key(row.id, row.token)))
    const accepted = new Set(parts.flat().filter((outcome) => applied.has(key(outcome.id, outcome.token))))
    const open = outcomes.filter((outcome) => !accepted.has(outcome))
    const found = yield* db.sql<{ readonly id: string; readonly token: Big; readonly state: State }>`SELECT
  id, token, state FROM ${db.jobs} WHERE ${db.ids(open.map((outcome) => outcome.id))} ${db.latest}`
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
