// A complete storage: rows in memory, and a JSON file that is written anew after each change. For one process.
// docs/write-a-storage.md walks through it; file-storage.test.ts proves it.
import { FileSystem } from "@effect/platform"
import { Array as Arr, Clock, Effect, Layer, Order, Stream, Struct, SubscriptionRef } from "effect"
import { JobError, JobStorage } from "dbjobq"
import type { Due, Fire, Fired, Hold, Inserted, JobRow, NewJob, Outcome, PutSchedule } from "dbjobq/JobStorage"
import type { ScheduleRow, State } from "dbjobq/JobStorage"

// ----- the tables -----

interface Tables {
  readonly jobs: Map<string, JobRow>
  readonly schedules: Map<string, ScheduleRow>
  readonly paused: Set<string>
}

/** A copy that one operation may change, and the instant at which it does. */
interface Draft extends Tables {
  readonly now: number
}

const copy = ({ jobs, paused, schedules }: Tables): Tables => ({
  jobs: new Map(jobs),
  schedules: new Map(schedules),
  paused: new Set(paused)
})

// rows are never written to, only replaced
const rows = ({ jobs, paused, schedules }: Tables) => [...jobs.values(), ...schedules.values(), ...paused]
const same = (a: Tables, b: Tables): boolean => Arr.getEquivalence<unknown>((x, y) => x === y)(rows(a), rows(b))

const encode = ({ jobs, paused, schedules }: Tables): string =>
  JSON.stringify({ jobs: [...jobs], schedules: [...schedules], paused: [...paused] })

const decode = (text: string): Tables => {
  const { jobs, paused, schedules } = JSON.parse(text)
  return { jobs: new Map(jobs), schedules: new Map(schedules), paused: new Set(paused) }
}

// ----- jobs -----

const idle = { owner: null, leaseUntil: null }
const unreported = { progress: null, progressMessage: null }
const unfinished = { result: null, failure: null, cancelRequested: false, finishedAt: null }
const anew = { ...idle, ...unreported, ...unfinished, attempt: 0, crashes: 0, startedAt: null }

const due = (due: Due, now: number) => {
  const runAt = "delay" in due ? now + Math.max(0, due.delay) : due.runAt
  return { runAt, state: runAt <= now ? "pending" : "scheduled" } as const
}

const ended = (row: JobRow, now: number, state: State, change: Partial<JobRow> = {}): JobRow => ({
  ...row,
  ...idle,
  ...change,
  state,
  finishedAt: now
})

const holder = ({ jobs }: Tables, { name, uniqueKey }: Pick<JobRow, "name" | "uniqueKey">): JobRow | undefined =>
  uniqueKey === null
    ? undefined
    : [...jobs.values()].find((row) => row.name === name && row.uniqueKey === uniqueKey && row.finishedAt === null)

const int32 = (n: number) => Number.isInteger(n) && Math.abs(n) <= 2 ** 31 && n < 2 ** 31

const unfit = ({ due, maxAttempts, priority }: NewJob): string | undefined => {
  if (!int32(priority)) return "priority"
  if (!int32(maxAttempts) || maxAttempts < 1) return "maxAttempts"
  return Number.isFinite("delay" in due ? due.delay : due.runAt) ? undefined : "due"
}

const insert = (draft: Draft, { due: dueAt, ...job }: NewJob): Inserted => {
  const { jobs, now } = draft
  const known = jobs.get(job.id)
  if (known) return { id: job.id, answer: known.name === job.name ? "inserted" : "conflict", created: false }
  const other = holder(draft, job)
  if (other) return { id: other.id, answer: "duplicate", created: false }
  jobs.set(job.id, { ...job, ...anew, ...due(dueAt, now), generation: 1, token: 0, enqueuedAt: now })
  return { id: job.id, answer: "inserted", created: true }
}

const settled = (row: JobRow, outcome: Outcome, now: number): JobRow => {
  if (outcome.to === "complete") return ended(row, now, "completed", { result: outcome.result, failure: null })
  if (outcome.to === "fail") return ended(row, now, "failed", { failure: outcome.failure })
  if (outcome.to === "cancel") return ended(row, now, "cancelled")
  const back = outcome.to === "retry" ? { failure: outcome.failure } : { attempt: row.attempt - 1 }
  if (row.cancelRequested) return ended(row, now, "cancelled", back)
  return { ...row, ...idle, ...back, ...(outcome.to === "release" ? { state: "pending" } : due(outcome, now)) }
}

const waits: ReadonlyArray<State> = ["pending", "scheduled", "cancelled"]
const leadsTo: { readonly [To in Outcome["to"]]: ReadonlyArray<State> } = {
  complete: ["completed"],
  fail: ["failed"],
  cancel: ["cancelled"],
  retry: waits,
  snooze: waits,
  release: waits
}

const settle = ({ jobs, now }: Draft, outcome: Outcome): boolean => {
  const row = jobs.get(outcome.id)
  if (row === undefined || row.token !== outcome.token || row.token === 0) return false
  // the same outcome again, after a lost reply
  if (row.state !== "running") return leadsTo[outcome.to].includes(row.state)
  jobs.set(row.id, settled(row, outcome, now))
  return true
}

const held = ({ jobs }: Tables, { id, token }: Hold): JobRow | undefined => {
  const row = jobs.get(id)
  return row?.state === "running" && row.token === token ? row : undefined
}

const fence = (row: JobRow) => ({ token: row.token + 1 })

const rescued = (row: JobRow, now: number, crashLimit: number, failure: string): JobRow => {
  const crashed = { ...fence(row), crashes: row.crashes + 1 }
  if (row.cancelRequested) return ended(row, now, "cancelled", crashed)
  const over = row.attempt >= row.maxAttempts || crashed.crashes >= crashLimit
  return over ? ended(row, now, "failed", { ...crashed, failure }) : { ...row, ...idle, ...crashed, state: "pending" }
}

const prune = ({ jobs, now }: Draft, ages: { readonly [S in State]?: number | undefined }, limit: number): number => {
  const isOld = (row: JobRow) => row.finishedAt !== null && row.finishedAt <= now - (ages[row.state] ?? Infinity)
  return [...jobs.values()]
    .filter(isOld)
    .slice(0, limit)
    .filter((row) => jobs.delete(row.id)).length
}

const byId = Order.mapInput(Order.string, (row: { readonly id: string }) => row.id)
const byTime = Order.mapInput(Order.number, (row: JobRow) => row.runAt)
const best = Order.combineAll([Order.mapInput(Order.number, (row: JobRow) => -row.priority), byTime, byId])

const within = (list: ReadonlyArray<string> | undefined, text: string) => list?.includes(text) ?? true

const matches = (filter: JobStorage.Filter, row: JobRow): boolean =>
  within(filter.states, row.state) &&
  within(filter.queues, row.queue) &&
  within(filter.names, row.name) &&
  (filter.tag === undefined || row.tags.includes(filter.tag)) &&
  row.enqueuedAt >= (filter.from ?? -Infinity) &&
  row.enqueuedAt < (filter.until ?? Infinity)

const pick = <Row>(table: ReadonlyMap<string, Row>, ids: ReadonlyArray<string>): ReadonlyArray<Row> =>
  [...new Set(ids)].flatMap((id) => table.get(id) ?? [])

const until = (now: number, at = Infinity): number | undefined => (at < Infinity ? Math.max(0, at - now) : undefined)

// ----- schedules -----

const text = ["id", "job", "queue", "payload", "uniqueKey", "recurrence", "overlap"] as const
const fields = [...text, "priority", "maxAttempts", "missed", "jitter"] as const
const unfired = { lastSlot: null, lastJob: null, lastFiredAt: null, fired: 0, skipped: 0, lastSkipReason: null }

const put = ({ schedules }: Draft, given: PutSchedule): ScheduleRow => {
  const known = schedules.get(given.id)
  const definition = Struct.pick(given, ...fields)
  const row = known ?? { ...definition, ...unfired, enabled: true, disabledReason: null, version: 0, next: given.next }
  const { enabled = row.enabled } = given
  const turned = enabled !== row.enabled
  if (known && !turned && fields.every((field) => known[field] === given[field])) return known
  const next = (turned && enabled) || row.recurrence !== given.recurrence ? given.next : row.next
  const disabledReason = turned ? null : row.disabledReason
  const now = { ...row, ...definition, enabled, disabledReason, next, version: row.version + 1 }
  schedules.set(row.id, now)
  return now
}

const fire = (draft: Draft, { disable, jobs, next, overlap, schedule, skipped, slot, version }: Fire): Fired => {
  const row = draft.schedules.get(schedule)
  if (!row?.enabled || row.version !== version || row.next !== slot) return { answer: "stale" }
  const before = row.lastJob === null ? undefined : draft.jobs.get(row.lastJob)
  const overlaps = overlap === "skip" && before?.finishedAt === null
  const answers = overlaps ? [] : jobs.map((job) => ({ ...job, ...insert(draft, job) }))
  const fired = answers.filter(({ answer }) => answer === "inserted")
  const missing = jobs.length - fired.length
  const reason = missing === 0 ? "missed" : overlaps ? "overlap" : "duplicate"
  const last = fired.at(-1)
  draft.schedules.set(schedule, {
    ...row,
    ...(last && { lastSlot: last.slot, lastJob: last.id, lastFiredAt: draft.now }),
    ...(disable !== null && { enabled: false, disabledReason: disable, version: version + 1 }),
    ...(skipped + missing > 0 && { skipped: row.skipped + skipped + missing, lastSkipReason: reason }),
    fired: row.fired + fired.length,
    next
  })
  return { answer: "fired", jobs: fired.filter(({ created }) => created).length }
}

const cursor = ({ enabled, next }: ScheduleRow): number => (enabled && next !== null ? next : Infinity)
const byCursor = Order.combine(Order.mapInput(Order.number, cursor), byId)

// ----- the service -----

const make = (filename: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const failed = (operation: string, problem: string, isTransient = false, cause?: unknown) =>
      new JobError.StorageError({ operation, message: `${operation}: ${problem}`, isTransient, cause })

    const load = Effect.flatMap(fs.readFileString(filename), (text) => Effect.try(() => decode(text)))
    const none: Tables = { jobs: new Map(), schedules: new Map(), paused: new Set() }
    const found = Effect.if(fs.exists(filename), { onTrue: () => load, onFalse: () => Effect.succeed(none) })
    const ref = yield* SubscriptionRef.make(
      yield* Effect.mapError(found, (cause) => failed("open", "cannot read the file", false, cause))
    )

    // the new file takes the old one's place in one step: whoever opens it finds all of a change or nothing
    const save = (tables: Tables) =>
      Effect.zipRight(fs.writeFileString(`${filename}.new`, encode(tables)), fs.rename(`${filename}.new`, filename))

    const change = <A>(operation: string, f: (draft: Draft) => A): Effect.Effect<A, JobError.StorageError> =>
      SubscriptionRef.modifyEffect(ref, (tables) =>
        Effect.gen(function* () {
          const draft = { ...copy(tables), now: yield* Clock.currentTimeMillis }
          const answer = f(draft)
          if (same(tables, draft)) return [answer, tables] as const
          yield* save(draft)
          return [answer, draft] as const
        })
      ).pipe(
        Effect.mapError((cause) => failed(operation, "cannot write the file", true, cause)),
        Effect.uninterruptible
      )

    const read = <A>(f: (draft: Draft) => A): Effect.Effect<A> =>
      Effect.zipWith(ref, Clock.currentTimeMillis, (tables, now) => f({ ...tables, now }))

    const perJob =
      <const A extends string>(operation: string, f: (row: JobRow, draft: Draft) => A) =>
      (ids: ReadonlyArray<string>) =>
        change(operation, (draft) =>
          ids.map((id) => {
            const row = draft.jobs.get(id)
            return row === undefined ? "notFound" : f(row, draft)
          })
        )

    return JobStorage.JobStorage.of({
      capabilities: {
        storage: "file",
        transactional: false,
        wakeups: "hint",
        storeClock: false,
        durable: true,
        limits: { payloadBytes: Infinity, resultBytes: Infinity, atomicInsert: Infinity }
      },

      insert: (jobs) => {
        const misfit = jobs.map(unfit).find((field) => field !== undefined)
        if (misfit !== undefined) return Effect.fail(failed("insert", `${misfit} is not a number that fits`))
        return change("insert", (draft) => jobs.map((job) => insert(draft, job)))
      },

      claim: ({ exceptQueues = [], lease, limit, names, owner, queues }) =>
        change("claim", ({ jobs, now, paused }) => {
          const free = (queue: string) => within(queues, queue) && !exceptQueues.includes(queue) && !paused.has(queue)
          const fits = (row: JobRow) => row.state === "pending" && names.includes(row.name) && free(row.queue)
          const hold = { ...unreported, state: "running", owner, leaseUntil: now + lease, startedAt: now } as const
          return Arr.sort([...jobs.values()].filter(fits), best)
            .slice(0, limit)
            .map((row) => ({ ...row, ...hold, attempt: row.attempt + 1, token: row.token + 1 }))
            .filter((row) => jobs.set(row.id, row))
        }),

      promote: (limit) =>
        change("promote", ({ jobs, now }) => {
          const scheduled = Arr.sort(
            [...jobs.values()].filter((row) => row.state === "scheduled"),
            byTime
          )
          const ready = scheduled.filter((row) => row.runAt <= now).slice(0, limit)
          for (const row of ready) jobs.set(row.id, { ...row, state: "pending" })
          return { promoted: ready.length, nextIn: until(now, scheduled.slice(ready.length)[0]?.runAt) }
        }),

      settle: (outcomes) => change("settle", (draft) => outcomes.map((outcome) => settle(draft, outcome))),

      renew: (holds, lease) =>
        change("renew", (draft) =>
          holds.map((hold) => {
            const row = held(draft, hold)
            if (row === undefined) return "lost"
            draft.jobs.set(row.id, { ...row, leaseUntil: draft.now + lease })
            return row.cancelRequested ? "cancelRequested" : "held"
          })
        ),

      progress: (hold, progress, progressMessage) =>
        change("progress", (draft) => {
          const row = held(draft, hold)
          if (row) draft.jobs.set(row.id, { ...row, progress, progressMessage })
          return row !== undefined
        }),

      sweep: ({ crashFailure, crashLimit, limit, retention }) =>
        change("sweep", (draft) => {
          const { jobs, now } = draft
          const expired = [...jobs.values()].filter((row) => row.leaseUntil !== null && row.leaseUntil <= now)
          const swept = expired.slice(0, limit).map((row) => rescued(row, now, crashLimit, crashFailure))
          for (const row of swept) jobs.set(row.id, row)
          const back = swept.filter((row) => row.state === "pending").length
          return { rescued: back, ended: swept.length - back, removed: prune(draft, retention, limit) }
        }),

      cancel: perJob("cancel", (row, { jobs, now }) => {
        if (row.state === "cancelled") return "cancelled"
        if (row.finishedAt !== null) return "finished"
        const running = row.state === "running"
        const cancelled = running ? { ...row, cancelRequested: true } : ended(row, now, "cancelled", fence(row))
        jobs.set(row.id, cancelled)
        return running ? "requested" : "cancelled"
      }),

      rerun: perJob("rerun", (row, draft) => {
        if (row.finishedAt === null) return "unfinished"
        if (holder(draft, row)) return "duplicate"
        const generation = row.generation + 1
        draft.jobs.set(row.id, { ...row, ...anew, ...fence(row), ...due({ delay: 0 }, draft.now), generation })
        return "rerun"
      }),

      reschedule: (ids, at) =>
        perJob("reschedule", (row, { jobs, now }) => {
          if (row.state === "running") return "running"
          if (row.finishedAt !== null) return "finished"
          jobs.set(row.id, { ...row, ...due(at, now) })
          return "rescheduled"
        })(ids),

      remove: perJob("remove", (row, { jobs }) => {
        if (row.state === "running") return "running"
        jobs.delete(row.id)
        return "removed"
      }),

      get: (ids) => read(({ jobs }) => pick(jobs, ids)),

      list: ({ after = "", filter, limit }) =>
        read(({ jobs }) =>
          Arr.sort(
            [...jobs.values()].filter((row) => row.id > after && matches(filter, row)),
            byId
          ).slice(0, limit)
        ),

      counts: read(({ jobs }) =>
        Object.values(Arr.groupBy(jobs.values(), ({ queue, state }) => `${state} ${queue}`)).map((group) => ({
          queue: group[0].queue,
          state: group[0].state,
          count: group.length
        }))
      ),

      pauseQueue: (queue) => Effect.asVoid(change("pauseQueue", ({ paused }) => paused.add(queue))),
      resumeQueue: (queue) => Effect.asVoid(change("resumeQueue", ({ paused }) => paused.delete(queue))),
      pausedQueues: read(({ paused }) => [...paused]),

      prune: (states, age, limit) =>
        change("prune", (draft) => prune(draft, Object.fromEntries(states.map((state) => [state, age])), limit)),

      putSchedules: (all) => change("putSchedules", (draft) => all.map((given) => put(draft, given))),
      removeSchedules: (ids) => change("removeSchedules", ({ schedules }) => ids.map((id) => schedules.delete(id))),
      enableSchedules: (changes) =>
        change("enableSchedules", (draft) =>
          changes.map(({ id, ...to }) => {
            const row = draft.schedules.get(id)
            if (row) put(draft, { ...row, ...to })
            return row !== undefined
          })
        ),
      getSchedules: (ids) => read(({ schedules }) => pick(schedules, ids)),
      listSchedules: ({ after = "", limit }) =>
        read(({ schedules }) =>
          Arr.sort(
            [...schedules.values()].filter(({ id }) => id > after),
            byId
          ).slice(0, limit)
        ),
      dueSchedules: (limit) =>
        read(({ now, schedules }) => {
          const [later, ready] = Arr.partition(Arr.sort(schedules.values(), byCursor), (row) => cursor(row) <= now)
          return { now, due: ready.slice(0, limit), nextIn: until(now, later.map(cursor)[0]) }
        }),
      fire: (fires) => change("fire", (draft) => fires.map((one) => fire(draft, one))),

      wakeups: ref.changes.pipe(
        Stream.changes,
        Stream.buffer({ capacity: 1, strategy: "sliding" }),
        Stream.mapConcat(() => ["jobs", "schedules"] as const)
      )
    })
  })

/** The storage in this file, which is created when there is none. */
export const layer = (
  filename: string
): Layer.Layer<JobStorage.JobStorage, JobError.StorageError, FileSystem.FileSystem> =>
  Layer.effect(JobStorage.JobStorage, make(filename))
