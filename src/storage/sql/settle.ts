import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import { leadsTo } from "../../internal/transitions.js"
import type { Outcome, Service, State } from "../../JobStorage.js"
import { affected } from "./affected.js"
import * as Change from "./change.js"
import { chunks } from "./chunks.js"
import type { Db } from "./db.js"
import { whole } from "./db.js"
import * as PgCall from "./pgCall.js"
import * as Mysql from "./mysql.js"
import type { Big } from "./row.js"
import { splitRepeats } from "./repeats.js"
import { settlement } from "./settlement.js"
import { byId, oneOrById } from "./values.js"

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

const endsAll = (outcomes: ReadonlyArray<Outcome>): boolean =>
  outcomes.every(({ to }) => to === "complete" || to === "fail" || to === "cancel")

interface Settled {
  readonly id: string
  readonly token: Big
}

/** Records outcomes of different jobs in one statement; answers which. */
type Update = (outcomes: ReadonlyArray<Outcome>) => Effect.Effect<ReadonlyArray<Settled>, SqlError | StorageError>

/** When any was refused, what the rows say now tells which: not of one that was rerun or removed in between. */
const allOrNone = (outcomes: ReadonlyArray<Outcome>, answer: unknown): ReadonlyArray<Outcome> =>
  affected(answer) === outcomes.length ? outcomes : []

const updateMysql =
  (db: Db): Update =>
  (outcomes) => {
    const { sql } = db
    return Effect.gen(function* () {
      const now = yield* db.now
      const answer = yield* sql`UPDATE ${Mysql.values(
        sql,
        { k: "key", held: "bigint", kind: "key", delay: "bigint", body: "text" },
        outcomes.map((outcome) => [outcome.id, outcome.token, outcome.to, delayOf(outcome), bodyOf(outcome)])
      )} STRAIGHT_JOIN ${db.jobs} ON id = v.k JOIN (SELECT ${now} AS t) AS n
SET ${sql.literal(settlement((column) => `v.${column}`, "n.t"))}
WHERE token = v.held AND owner IS NOT NULL`.raw
      if (affected(answer) !== 0 && !endsAll(outcomes)) yield* db.tell("jobs")
      return allOrNone(outcomes, answer)
    })
  }

const updateSqlite =
  (db: Db): Update =>
  (outcomes) => {
    const settled = byId(db, outcomes, {
      held: { type: "bigint", of: (outcome) => outcome.token },
      kind: { type: "text", of: (outcome) => outcome.to },
      delay: { type: "bigint", of: delayOf },
      body: { type: "text", of: bodyOf }
    })
    return Effect.flatMap(db.now, (now) => {
      const statement = db.sql`UPDATE ${db.jobs} SET ${db.sql.literal(settlement(settled.of, "n.t"))}
FROM ${settled.from}, (SELECT ${now} AS t) AS n
WHERE ${settled.where} AND token = ${db.sql.literal(settled.of("held"))} AND owner IS NOT NULL`
      return endsAll(outcomes)
        ? Effect.map(db.sql`${statement}`.raw, (answer) => allOrNone(outcomes, answer))
        : db.telling<Settled>("jobs", "id, token", statement)
    })
  }

/** By a function that keeps its plan. It names those settled when not all of them were, or none. */
const updatePg = (db: Db): Update => {
  const call = PgCall.make(db, "dbjobq_settle", 11, "value")
  return (outcomes) =>
    Effect.flatMap(db.present, (now) =>
      Effect.map(
        call<{ readonly answer: string | null }>([
          // a wake-up for what comes back only: jobs that end are the many
          endsAll(outcomes) ? null : db.channel,
          now,
          PgCall.idArray(outcomes.map(({ id }) => id)),
          ...oneOrById(outcomes, ({ token }) => token),
          ...oneOrById(outcomes, ({ to }) => to),
          ...oneOrById(outcomes, delayOf),
          ...oneOrById(outcomes, bodyOf)
        ]),
        ([row]) => PgCall.named(row?.answer, outcomes)
      )
    )
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

const settled = (db: Db, update: Update, outcomes: ReadonlyArray<Outcome>) =>
  Effect.gen(function* () {
    const parts = partsOf(db, outcomes)
    const rows = (yield* Effect.forEach(parts, (part) => update(part))).flat()
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

export const settle = (db: Db): Service["settle"] => {
  const update = { pg: updatePg, sqlite: updateSqlite, mysql: updateMysql }[db.dialect](db)
  return (outcomes) => {
    if (outcomes.length === 0) return Effect.succeed([])
    const all = settled(db, update, outcomes)
    // without RETURNING, a row that comes back might be claimed again before it is read
    return db.run("settle", db.dialect === "mysql" && !endsAll(outcomes) ? Change.unit(db, all) : all)
  }
}
