/** Wake-ups for what other processes, or other connections of this one, have committed to a SQLite file. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import type { Hear } from "../../internal/hear.js"
import type { Wakeup } from "../../JobStorage.js"
import type { Db } from "./db.js"
import * as FollowUp from "./followUp.js"
import { detached } from "./ownership.js"

/** The file is written before the disk has it, and only then there is a commit to be seen: nothing tells when. */
const pauses = [5, 10, 20, 40, 80, 160, 320].map((millis) => Effect.sleep(millis))

/** Between two wake-ups: as many as a process commits would be too many for all the others. */
const rest = Effect.sleep(20)

interface Seen {
  readonly version: number
  readonly pending: number
  /** When the first of the scheduled jobs is due, and the first slot of the schedules. */
  readonly due: number | null
  readonly slot: number | null
  /** Rows that this connection has changed since it was opened. */
  readonly own: number
}

/**
 * How long the first look is put off at most. A worker does not know how many others there are, so it begins with the
 * longest; one that is alone comes to the shortest in a few jobs.
 */
const spreads = { least: 6, most: 500 }

/** Reads only, so that those who find nothing to do are in no writer's way. */
const look = (db: Db): Effect.Effect<Omit<Seen, "version"> | undefined, SqlError> =>
  Effect.map(
    db.sql<Omit<Seen, "version">>`SELECT EXISTS (SELECT 1 FROM ${db.jobs} WHERE state = 'pending') AS pending,
  (SELECT min(run_at) FROM ${db.jobs} WHERE state = 'scheduled') AS due,
  (SELECT min(next_slot) FROM ${db.schedules} WHERE enabled) AS slot, total_changes() AS own`,
    (rows) => rows[0]
  )

/** Changed by the commits of all connections but the one that asks. */
const version = (db: Db): Effect.Effect<number | undefined, SqlError> =>
  Effect.map(db.sql<{ readonly data_version: number }>`PRAGMA data_version`, (rows) => rows[0]?.data_version)

interface Lookout {
  /** Spread, so that of many idle workers one takes the job before the others look. */
  readonly wait: Effect.Effect<void>
  /** What is new since the last time; at the first time, all there is. */
  readonly news: Effect.Effect<ReadonlyArray<Wakeup>>
}

const lookout = (db: Db): Lookout => {
  let seen: Partial<Seen> = {}
  let spread = spreads.most
  const compare = (found: Seen): ReadonlyArray<Wakeup> => {
    const before = seen
    seen = found
    // whoever comes too late for what was there leaves the next to others, and whoever got something comes sooner
    if (before.pending === 1 && before.own !== found.own) spread = Math.max(spreads.least, spread / 4)
    else if (before.pending === 1 && found.pending === 0) spread = Math.min(spreads.most, spread * 2)
    const later = (key: "due" | "slot") => found[key] !== null && found[key] !== before[key]
    const jobs: ReadonlyArray<Wakeup> = found.pending === 1 || later("due") ? ["jobs"] : []
    return later("slot") ? [...jobs, "schedules"] : jobs
  }
  return {
    wait: Effect.flatMap(Random.next, (unit) => Effect.sleep(spread * unit)),
    news: Effect.gen(function* () {
      const now = yield* version(db)
      if (now === undefined || now === seen.version) return []
      const found = yield* look(db)
      return found === undefined ? [] : compare({ ...found, version: now })
      // where it fails, the next sign or the next poll will do
    }).pipe(
      Effect.orElseSucceed((): ReadonlyArray<Wakeup> => []),
      detached
    )
  }
}

/** `changes` are signs that the file is written, by whomever. */
export const elsewhere =
  (db: Db, changes: Stream.Stream<void>): Hear =>
  (heard) =>
    Effect.gen(function* () {
      const { news, wait } = lookout(db)
      const tell = Effect.flatMap(news, (wakeups) => {
        for (const wakeup of wakeups) heard(wakeup)
        return wakeups.length === 0 ? Effect.void : rest
      })
      const { poke, run } = FollowUp.make([wait, ...pauses], tell)
      const start = yield* Queue.unbounded<void>()
      // the listening itself is the first sign: what is there already, is new to it
      const signs = Stream.concat(Stream.make(undefined), changes)
      const watching = Stream.runForEach(signs, () => (poke() ? Queue.offer(start, undefined) : Effect.void))
      const following = Effect.forever(Effect.zipRight(Queue.take(start), run))
      return yield* Effect.raceFirst(Effect.zipRight(watching, Effect.never), following)
    })
