// A complete storage: rows in Maps, and a JSON file that each change replaces. For one process.
// docs/write-a-storage.md walks through it; file-storage.test.ts proves it.
import { FileSystem } from "@effect/platform"
import { Clock, Effect, Layer, Stream, SubscriptionRef } from "effect"
import { JobError, JobStorage, Rows } from "dbjobq"
import type { Inserted, JobRow, NewJob, ScheduleRow, SweepRequest } from "dbjobq/JobStorage"

interface Tables {
  readonly jobs: Map<string, JobRow>
  readonly schedules: Map<string, ScheduleRow>
  readonly paused: Set<string>
}

/** Tables that one operation may change, and the instant at which it does. */
interface Draft extends Tables {
  readonly now: number
}

// rows are replaced, never written to
const draft = ({ jobs, paused, schedules }: Tables, now: number): Draft => ({
  jobs: new Map(jobs),
  schedules: new Map(schedules),
  paused: new Set(paused),
  now
})

const encode = ({ jobs, paused, schedules }: Tables): string =>
  JSON.stringify({ jobs: [...jobs], schedules: [...schedules], paused: [...paused] })

const decode = (text: string): Tables => {
  const { jobs, paused, schedules } = JSON.parse(text)
  return { jobs: new Map(jobs), schedules: new Map(schedules), paused: new Set(paused) }
}

/** Writes what a transition makes of a row, and answers what it says. */
const update = <A, Row>(table: Map<string, Row>, id: string, transition: Rows.Transition<A, Row>): A => {
  const { answer, next } = transition(table.get(id))
  if (next === null) table.delete(id)
  else if (next !== undefined) table.set(id, next)
  return answer
}

const holderOf =
  ({ jobs }: Tables): Rows.HolderOf =>
  (name, key) =>
    [...jobs.values()].find((row) => row.name === name && row.uniqueKey === key && !Rows.isFinished(row))?.id

const insert = (draft: Draft, job: NewJob): Inserted =>
  update(draft.jobs, job.id, Rows.insert(job, holderOf(draft), draft.now))

const prune = ({ jobs, now }: Draft, ages: SweepRequest["retention"], limit: number): number =>
  Rows.old(jobs.values(), ages, limit, now).filter((row) => jobs.delete(row.id)).length

const pick = <Row>(table: Map<string, Row>, ids: ReadonlyArray<string>): ReadonlyArray<Row> =>
  [...new Set(ids)].flatMap((id) => table.get(id) ?? [])

const make = (filename: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const failed = (operation: string, problem: string, isTransient: boolean) => (cause: unknown) =>
      new JobError.StorageError({ operation, message: `${operation}: ${problem}`, isTransient, cause })

    const none = Effect.succeed(encode({ jobs: new Map(), schedules: new Map(), paused: new Set() }))
    const text = Effect.if(fs.exists(filename), { onTrue: () => fs.readFileString(filename), onFalse: () => none })
    const tables = Effect.flatMap(text, (all) => Effect.try(() => decode(all)))
    const opened = Effect.mapError(tables, failed("open", "cannot read the file", false))
    const ref = yield* Effect.flatMap(opened, SubscriptionRef.make)
    let saved = encode(yield* ref)

    // on the disk before it takes the old one's place: whoever opens the file finds all of a change or nothing
    const save = (text: string) =>
      Effect.gen(function* () {
        const file = yield* fs.open(`${filename}.new`, { flag: "w" })
        yield* file.writeAll(new TextEncoder().encode(text))
        yield* file.sync
        yield* fs.rename(`${filename}.new`, filename)
        saved = text
      }).pipe(Effect.scoped)

    const change = <A>(operation: string, f: (draft: Draft) => A): Effect.Effect<A, JobError.StorageError> =>
      SubscriptionRef.modifyEffect(ref, (tables) =>
        Effect.gen(function* () {
          const changed = draft(tables, yield* Clock.currentTimeMillis)
          const answer = f(changed)
          const text = encode(changed)
          if (text === saved) return [answer, tables] as const
          yield* save(text)
          return [answer, changed] as const
        })
      ).pipe(Effect.mapError(failed(operation, "cannot write the file", true)), Effect.uninterruptible)

    return JobStorage.JobStorage.of({
      capabilities: {
        storage: "file",
        transactional: false,
        wakeups: "hint",
        storeClock: false,
        durable: true,
        limits: { payloadBytes: Infinity, resultBytes: Infinity, atomicInsert: Infinity }
      },

      insert: (all) => {
        const refusal = Rows.refusal(all)
        return refusal ? Effect.fail(refusal) : change("insert", (draft) => all.map((job) => insert(draft, job)))
      },
      claim: (request) =>
        change("claim", ({ jobs, now, paused }) => {
          const best = Rows.claimable(jobs.values(), request, paused)
          return best.map((row) => update(jobs, row.id, () => Rows.claim(row, request, now)))
        }),
      promote: (limit) =>
        change("promote", ({ jobs, now }) => {
          const { due, nextIn } = Rows.promotable(jobs.values(), limit, now)
          for (const row of due) jobs.set(row.id, Rows.promote(row))
          return { promoted: due.length, nextIn }
        }),
      settle: (all) =>
        change("settle", ({ jobs, now }) => all.map((one) => update(jobs, one.id, Rows.settle(one, now)))),
      renew: (all, lease) =>
        change("renew", ({ jobs, now }) => all.map((one) => update(jobs, one.id, Rows.renew(one, lease, now)))),
      progress: (hold, fraction, message) =>
        change("progress", ({ jobs }) => update(jobs, hold.id, Rows.progress(hold, fraction, message))),
      sweep: (request) =>
        change("sweep", (draft) => {
          const { jobs, now } = draft
          const expired = Rows.expired(jobs.values(), request.limit, now)
          const ends = expired.map((row) => update(jobs, row.id, () => Rows.expire(row, request, now)))
          const rescued = ends.filter((end) => end === "rescued").length
          return { rescued, ended: ends.length - rescued, removed: prune(draft, request.retention, request.limit) }
        }),

      cancel: (ids) => change("cancel", ({ jobs, now }) => ids.map((id) => update(jobs, id, Rows.cancel(now)))),
      rerun: (ids) =>
        change("rerun", (draft) => ids.map((id) => update(draft.jobs, id, Rows.rerun(holderOf(draft), draft.now)))),
      reschedule: (ids, due) =>
        change("reschedule", ({ jobs, now }) => ids.map((id) => update(jobs, id, Rows.reschedule(due, now)))),
      remove: (ids) => change("remove", ({ jobs }) => ids.map((id) => update(jobs, id, Rows.remove))),
      prune: (states, age, limit) =>
        change("prune", (draft) => prune(draft, Object.fromEntries(states.map((state) => [state, age])), limit)),

      get: (ids) => Effect.map(ref, ({ jobs }) => pick(jobs, ids)),
      list: (request) => Effect.map(ref, ({ jobs }) => Rows.page(jobs.values(), request)),
      counts: Effect.map(ref, ({ jobs }) => Rows.counts(jobs.values())),

      pauseQueue: (queue) => Effect.asVoid(change("pauseQueue", ({ paused }) => paused.add(queue))),
      resumeQueue: (queue) => Effect.asVoid(change("resumeQueue", ({ paused }) => paused.delete(queue))),
      pausedQueues: Effect.map(ref, ({ paused }) => [...paused]),

      putSchedules: (all) =>
        change("putSchedules", ({ schedules }) => all.map((one) => update(schedules, one.id, Rows.putSchedule(one)))),
      removeSchedules: (ids) => change("removeSchedules", ({ schedules }) => ids.map((id) => schedules.delete(id))),
      enableSchedules: (all) =>
        change("enableSchedules", ({ schedules: to }) =>
          all.map((one) => update(to, one.id, Rows.enableSchedule(one)))
        ),
      getSchedules: (ids) => Effect.map(ref, ({ schedules }) => pick(schedules, ids)),
      listSchedules: (request) => Effect.map(ref, ({ schedules }) => Rows.schedulePage(schedules.values(), request)),
      dueSchedules: (limit) =>
        Effect.zipWith(ref, Clock.currentTimeMillis, ({ schedules }, now) =>
          Rows.dueSchedules(schedules.values(), limit, now)
        ),
      fire: (fires) =>
        change("fire", (draft) => {
          const { jobs, now, schedules } = draft
          const access = { get: (id: string) => jobs.get(id), insert: (job: NewJob) => insert(draft, job) }
          return fires.map((one) => update(schedules, one.schedule, Rows.fire(one, access, now)))
        }),

      wakeups: ref.changes.pipe(
        Stream.changes,
        Stream.buffer({ capacity: 1, strategy: "sliding" }),
        Stream.mapConcat(() => ["jobs", "schedules"] as const)
      )
    })
  })

/** The storage in this file, which is created when there is none. */
export const layer = (filename: string) => Layer.effect(JobStorage.JobStorage, make(filename))
