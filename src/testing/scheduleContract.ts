/** The part of the storage contract that is about schedules. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Fire, PutSchedule, ScheduleRow } from "../JobStorage.js"
import type { JobStorage } from "../JobStorage.js"
import { hour, idsOf, kit, listening } from "./kit.js"

type Test = <A, E>(title: string, body: Effect.Effect<A, E, JobStorage>) => void

const minute = 60_000

const scheduleKit = Effect.map(kit, (base) => {
  const { job, name, queue, storage } = base
  const made = new Set<string>()
  let count = 0
  const define = (over: Partial<PutSchedule> = {}): PutSchedule => {
    const id = over.id ?? `${name}-${String(count++).padStart(3, "0")}`
    made.add(id)
    return {
      id,
      job: name,
      queue,
      priority: 0,
      payload: "{}",
      maxAttempts: 3,
      uniqueKey: null,
      recurrence: "every PT1M",
      missed: 1,
      overlap: "allow",
      jitter: 0,
      enabled: undefined,
      next: Date.now() - hour,
      ...over
    }
  }
  const get = (id: string): Effect.Effect<ScheduleRow> =>
    Effect.flatMap(Effect.orDie(storage.getSchedules([id])), ([row]) =>
      row === undefined ? Effect.dieMessage(`no schedule ${id}`) : Effect.succeed(row)
    )
  const put = (over: Partial<PutSchedule> = {}): Effect.Effect<ScheduleRow> =>
    Effect.suspend(() => {
      const schedule = define(over)
      return Effect.zipRight(Effect.orDie(storage.putSchedules([schedule])), get(schedule.id))
    })
  const slotId = (schedule: string, slot: number): string => `${schedule}-${slot}`.replace(/[^!-~]/g, "_")
  const jobFor = (row: ScheduleRow, slot: number) =>
    job({ id: slotId(row.id, slot), due: { runAt: slot }, scheduleId: row.id, slot, uniqueKey: row.uniqueKey })
  const fireOf = (row: ScheduleRow, over: Partial<Fire> = {}): Fire => {
    const slot = row.next ?? 0
    return {
      schedule: row.id,
      version: row.version,
      slot,
      next: slot + minute,
      jobs: [jobFor(row, slot)],
      skipped: 0,
      overlap: row.overlap,
      disable: null,
      ...over
    }
  }
  const fire = (one: Fire) => Effect.map(storage.fire([one]), ([answer]) => answer)
  const jobs = Effect.map(storage.list({ filter: { names: [name] }, limit: 1000 }), idsOf)
  // the other suites of this storage must not find them due
  const cleanUp = Effect.suspend(() => Effect.ignore(storage.removeSchedules([...made])))
  return { ...base, define, put, get, slotId, jobFor, fireOf, fire, jobs, cleanUp }
})

type ScheduleKit = Effect.Effect.Success<typeof scheduleKit>

const stale = { answer: "stale" } as const
const fired = (jobs: number) => ({ answer: "fired", jobs }) as const

export const scheduleContract = (test: Test): void => {
  const scheduled = <E>(title: string, body: (k: ScheduleKit) => Effect.Effect<unknown, E, JobStorage>) =>
    test(
      `schedules: ${title}`,
      Effect.flatMap(scheduleKit, (k) => Effect.ensuring(body(k), k.cleanUp))
    )

  scheduled("a fresh row has every field as given; putting it again changes nothing", ({ define, storage }) =>
    Effect.gen(function* () {
      const one = define({ priority: -3, payload: `{"a":1}`, uniqueKey: "k", missed: 7, overlap: "skip", jitter: 500 })
      const two = define({ enabled: false, next: null })
      const rows = yield* storage.putSchedules([two, one])
      const fresh = {
        disabledReason: null,
        version: 1,
        lastSlot: null,
        lastJob: null,
        lastFiredAt: null,
        fired: 0,
        skipped: 0,
        lastSkipReason: null
      }
      assert.deepStrictEqual(rows, [
        { ...two, ...fresh, enabled: false },
        { ...one, ...fresh, enabled: true }
      ])
      const again = [
        { ...two, next: 5 },
        { ...one, next: 5 }
      ]
      assert.deepStrictEqual(yield* storage.putSchedules(again), rows)
      assert.sameDeepMembers([...(yield* storage.getSchedules([one.id, two.id, "no-such-schedule"]))], [...rows])
      assert.deepStrictEqual(yield* storage.putSchedules([]), [])
      assert.deepStrictEqual(yield* storage.getSchedules([]), [])
      assert.deepStrictEqual(yield* storage.fire([]), [])
    })
  )

  scheduled(
    "an edit keeps cursor and counters, a changed recurrence has its own cursor",
    ({ define, fire, fireOf, get, storage }) =>
      Effect.gen(function* () {
        const schedule = define()
        const [row] = yield* storage.putSchedules([schedule])
        assert(row !== undefined)
        yield* fire(fireOf(row, { skipped: 2 }))
        const before = yield* get(schedule.id)
        const edits: ReadonlyArray<Partial<PutSchedule>> = [
          { payload: `{"b":2}` },
          { queue: "other" },
          { priority: 4 },
          { job: "other" },
          { maxAttempts: 9 },
          { uniqueKey: "u" },
          { missed: 0 },
          { overlap: "skip" },
          { jitter: 30 }
        ]
        let version = before.version
        for (const edit of edits) {
          yield* storage.putSchedules([{ ...schedule, ...edit, next: 1 }])
          const { enabled: _enabled, next: _next, ...given } = { ...schedule, ...edit }
          assert.deepStrictEqual(yield* get(schedule.id), { ...before, ...given, version: ++version })
        }
        yield* storage.putSchedules([{ ...schedule, jitter: 30, recurrence: "every PT2M", next: 99 }])
        assert.deepInclude(yield* get(schedule.id), { next: 99, version: version + 1, fired: 1, skipped: 2 })
      })
  )

  scheduled("enable and disable, by put and by switch", ({ define, get, storage }) =>
    Effect.gen(function* () {
      const schedule = define({ next: 10 })
      const { id } = schedule
      const turn = (enabled: boolean, next: number | null) => storage.enableSchedules([{ id, enabled, next }])
      yield* storage.putSchedules([schedule])
      assert.deepStrictEqual(yield* turn(true, 20), [true])
      assert.deepInclude(yield* get(id), { enabled: true, next: 10, version: 1 })
      assert.deepStrictEqual(yield* turn(false, 20), [true])
      assert.deepStrictEqual(yield* turn(false, 20), [true])
      assert.deepInclude(yield* get(id), { enabled: false, disabledReason: null, version: 2 })
      yield* storage.putSchedules([{ ...schedule, next: 30 }])
      assert.deepInclude(yield* get(id), { enabled: false, version: 2 })
      assert.deepStrictEqual(yield* turn(true, 40), [true])
      assert.deepInclude(yield* get(id), { enabled: true, next: 40, version: 3 })
      yield* storage.putSchedules([{ ...schedule, enabled: false, next: 50 }])
      assert.deepInclude(yield* get(id), { enabled: false, version: 4 })
      yield* storage.putSchedules([{ ...schedule, enabled: true, next: 60 }])
      assert.deepInclude(yield* get(id), { enabled: true, next: 60, version: 5 })
      assert.deepStrictEqual(yield* storage.enableSchedules([{ id: `${id}-none`, enabled: true, next: 1 }]), [false])
      assert.deepStrictEqual(yield* storage.enableSchedules([]), [])
    })
  )

  scheduled("fire advances the cursor, inserts the job and counts", ({ fire, fireOf, get, put, row, slotId }) =>
    Effect.gen(function* () {
      const schedule = yield* put()
      const slot = schedule.next ?? 0
      assert.deepStrictEqual(yield* fire(fireOf(schedule)), fired(1))
      const after = yield* get(schedule.id)
      assert.isBelow(Math.abs((after.lastFiredAt ?? 0) - Date.now()), minute)
      assert.deepStrictEqual(after, {
        ...schedule,
        next: slot + minute,
        lastSlot: slot,
        lastJob: slotId(schedule.id, slot),
        lastFiredAt: after.lastFiredAt,
        fired: 1
      })
      assert.deepInclude(yield* row(slotId(schedule.id, slot)), {
        state: "pending",
        scheduleId: schedule.id,
        slot,
        runAt: slot
      })
    })
  )

  scheduled("fire is fenced by version, cursor, and the switch", ({ fire, fireOf, get, jobs, put, storage }) =>
    Effect.gen(function* () {
      const schedule = yield* put()
      const good = fireOf(schedule)
      assert.deepStrictEqual(yield* fire({ ...good, version: good.version + 1 }), stale)
      assert.deepStrictEqual(yield* fire({ ...good, slot: good.slot + 1 }), stale)
      assert.deepStrictEqual(yield* fire({ ...good, schedule: `${schedule.id}-none` }), stale)
      assert.deepStrictEqual(yield* get(schedule.id), schedule)
      yield* put({ ...schedule, payload: `{"edited":true}` })
      assert.deepStrictEqual(yield* fire(good), stale)
      yield* storage.enableSchedules([{ id: schedule.id, enabled: false, next: null }])
      const disabled = yield* get(schedule.id)
      assert.deepStrictEqual(yield* fire(fireOf(disabled)), stale)
      assert.deepStrictEqual(yield* get(schedule.id), disabled)
      assert.deepStrictEqual(yield* jobs, [])
    })
  )

  scheduled("many fires of one slot at once insert one job", ({ fire, fireOf, get, jobs, put }) =>
    Effect.gen(function* () {
      const schedule = yield* put()
      const answers = yield* Effect.forEach(Array.from({ length: 12 }), () => fire(fireOf(schedule)), {
        concurrency: "unbounded"
      })
      assert.strictEqual(answers.filter((answer) => answer?.answer === "fired").length, 1)
      assert.strictEqual((yield* jobs).length, 1)
      assert.strictEqual((yield* get(schedule.id)).fired, 1)
    })
  )

  scheduled("a fire repeated after a lost reply is stale", ({ fire, fireOf, get, jobs, put }) =>
    Effect.gen(function* () {
      const schedule = yield* put()
      assert.deepStrictEqual(yield* fire(fireOf(schedule)), fired(1))
      const after = yield* get(schedule.id)
      assert.deepStrictEqual(yield* fire(fireOf(schedule)), stale)
      assert.deepStrictEqual(yield* get(schedule.id), after)
      assert.strictEqual((yield* jobs).length, 1)
    })
  )

  scheduled("removed and put again, a slot has still one job", ({ fire, fireOf, get, jobs, put, storage }) =>
    Effect.gen(function* () {
      const schedule = yield* put()
      yield* fire(fireOf(schedule))
      assert.deepStrictEqual(yield* storage.removeSchedules([schedule.id, `${schedule.id}-none`]), [true, false])
      assert.deepStrictEqual(yield* storage.getSchedules([schedule.id]), [])
      assert.strictEqual((yield* jobs).length, 1)
      assert.deepStrictEqual(yield* fire(fireOf(schedule)), stale)
      const again = yield* put({ ...schedule, enabled: undefined })
      assert.deepStrictEqual(yield* fire(fireOf(again)), fired(0))
      assert.strictEqual((yield* jobs).length, 1)
      assert.deepInclude(yield* get(schedule.id), { fired: 1, skipped: 0, lastSlot: schedule.next })
      assert.deepStrictEqual(yield* storage.removeSchedules([]), [])
    })
  )

  scheduled("overlap skip: nothing is inserted while the last job is unfinished", (k) =>
    Effect.gen(function* () {
      const { claim, fire, fireOf, get, jobs, put, settle, slotId } = k
      const first = yield* put({ overlap: "skip" })
      yield* fire(fireOf(first))
      const second = yield* get(first.id)
      assert.deepStrictEqual(yield* fire(fireOf(second, { skipped: 3 })), fired(0))
      const third = yield* get(first.id)
      assert.deepInclude(third, {
        next: (second.next ?? 0) + minute,
        fired: 1,
        skipped: 4,
        lastSkipReason: "overlap",
        lastSlot: first.next,
        lastJob: slotId(first.id, first.next ?? 0)
      })
      const [held] = yield* claim(1)
      assert(held !== undefined)
      assert.deepStrictEqual(yield* fire(fireOf(third)), fired(0))
      yield* settle({ id: held.id, token: held.token, to: "complete", result: null })
      assert.deepStrictEqual(yield* fire(fireOf(yield* get(first.id))), fired(1))
      assert.strictEqual((yield* jobs).length, 2)
      // a job that is gone keeps nothing back
      yield* k.storage.remove(yield* jobs)
      assert.deepStrictEqual(yield* fire(fireOf(yield* get(first.id))), fired(1))
    })
  )

  scheduled("a unique key that is held counts as skipped", ({ fire, fireOf, get, insert, job, jobs, put }) =>
    Effect.gen(function* () {
      yield* insert(job({ uniqueKey: "k", due: { delay: hour } }))
      const schedule = yield* put({ uniqueKey: "k" })
      assert.deepStrictEqual(yield* fire(fireOf(schedule)), fired(0))
      assert.deepInclude(yield* get(schedule.id), {
        next: (schedule.next ?? 0) + minute,
        fired: 0,
        skipped: 1,
        lastSkipReason: "duplicate",
        lastSlot: null,
        lastJob: null
      })
      assert.strictEqual((yield* jobs).length, 1)
    })
  )

  scheduled("many slots in one fire, and those passed over", ({ fire, fireOf, get, jobFor, jobs, put, slotId }) =>
    Effect.gen(function* () {
      const schedule = yield* put()
      const slot = schedule.next ?? 0
      const slots = Array.from({ length: 500 }, (_, at) => slot + at)
      const many = fireOf(schedule, {
        next: slot + hour,
        jobs: slots.map((one) => jobFor(schedule, one)),
        skipped: 999_500
      })
      assert.deepStrictEqual(yield* fire(many), fired(500))
      assert.deepInclude(yield* get(schedule.id), {
        next: slot + hour,
        fired: 500,
        skipped: 999_500,
        lastSkipReason: "missed",
        lastSlot: slot + 499,
        lastJob: slotId(schedule.id, slot + 499)
      })
      assert.strictEqual((yield* jobs).length, 500)
      assert.deepStrictEqual(
        yield* fire(fireOf(yield* get(schedule.id), { jobs: [], skipped: 2, next: null })),
        fired(0)
      )
      assert.deepInclude(yield* get(schedule.id), { next: null, fired: 500, skipped: 999_502, lastSlot: slot + 499 })
    })
  )

  scheduled(
    "a batch: each item by itself, those of one schedule in order",
    ({ fireOf, get, jobFor, jobs, put, storage }) =>
      Effect.gen(function* () {
        const a = yield* put()
        const b = yield* put({ overlap: "skip" })
        const slot = (a.next ?? 0) + minute
        const follow = fireOf(a, { slot, next: slot + minute, jobs: [jobFor(a, slot)] })
        const held = fireOf(b, { slot: (b.next ?? 0) + minute, next: null, jobs: [jobFor(b, (b.next ?? 0) + minute)] })
        assert.deepStrictEqual(yield* storage.fire([fireOf(a), fireOf(b), fireOf(a), follow, held]), [
          fired(1),
          fired(1),
          stale,
          fired(1),
          fired(0)
        ])
        assert.deepInclude(yield* get(a.id), { fired: 2, next: slot + minute, lastSlot: slot })
        assert.deepInclude(yield* get(b.id), { fired: 1, skipped: 1, next: null, lastSkipReason: "overlap" })
        assert.strictEqual((yield* jobs).length, 3)
      })
  )

  scheduled("a fire may disable, for a reason that enabling clears", ({ fire, fireOf, get, put, storage }) =>
    Effect.gen(function* () {
      const schedule = yield* put()
      const quarantine = fireOf(schedule, { jobs: [], next: null, disable: "no slot in ten years" })
      assert.deepStrictEqual(yield* fire(quarantine), fired(0))
      const after = yield* get(schedule.id)
      assert.deepInclude(after, { enabled: false, disabledReason: "no slot in ten years", next: null })
      assert.isAbove(after.version, schedule.version)
      yield* storage.enableSchedules([{ id: schedule.id, enabled: true, next: 5 }])
      assert.deepInclude(yield* get(schedule.id), { enabled: true, disabledReason: null, next: 5 })
    })
  )

  scheduled("due: enabled and due by the storage's clock, earliest first", ({ put, storage }) =>
    Effect.gen(function* () {
      const { now } = yield* storage.dueSchedules(0)
      assert.isBelow(Math.abs(now - Date.now()), minute)
      const late = yield* put({ next: now - 10 })
      const early = yield* put({ next: now - hour })
      const tie = yield* put({ next: now - 10 })
      const future = yield* put({ next: now + hour })
      yield* put({ next: now + 2 * hour })
      yield* put({ next: now - 5, enabled: false })
      yield* put({ next: now + 1_000, enabled: false })
      yield* put({ next: null })
      const found = yield* storage.dueSchedules(100)
      assert.deepStrictEqual(found.due, [early, late, tie])
      assert.isAtLeast(found.now, now)
      assert.strictEqual(found.nextIn, (future.next ?? 0) - found.now)
      assert.deepStrictEqual(idsOf((yield* storage.dueSchedules(2)).due), [early.id, late.id])
      yield* storage.removeSchedules(idsOf(yield* storage.listSchedules({ limit: 1000 })))
      assert.deepInclude(yield* storage.dueSchedules(10), { due: [], nextIn: undefined })
    })
  )

  scheduled("list: pages in ascending order of ids", ({ define, storage }) =>
    Effect.gen(function* () {
      const made = Array.from({ length: 25 }, () => define())
      yield* storage.putSchedules([...made].reverse())
      const seen: Array<string> = []
      for (let after: string | undefined; ; ) {
        const page = yield* storage.listSchedules({ after, limit: 7 })
        assert.isAtMost(page.length, 7)
        seen.push(...idsOf(page))
        after = page[page.length - 1]?.id
        if (page.length === 0) break
      }
      assert.deepStrictEqual(seen, [...seen].sort())
      assert.deepStrictEqual(
        seen.filter((id) => made.some((one) => one.id === id)),
        idsOf(made)
      )
      assert.deepStrictEqual(yield* storage.listSchedules({ limit: 0 }), [])
    })
  )

  scheduled("hostile text is kept as it is", ({ fire, fireOf, get, put, row, slotId, storage }) =>
    Effect.gen(function* () {
      const texts = [
        "'; DROP TABLE dbjobq_schedules; --",
        '"double" `back` $1 ? :x %s {a}',
        "caf\u00e9",
        "cafe\u0301",
        "emoji 👩‍👩‍👧 𝔘",
        "__proto__",
        "constructor",
        "$where",
        " spaces ",
        "UPPER",
        "upper",
        "x".repeat(200)
      ]
      const payload = JSON.stringify({ nul: "\u0000", lone: "\ud800", quote: "'\"\\" })
      for (const text of texts) {
        const schedule = yield* put({ id: text, payload, recurrence: text, uniqueKey: text, queue: text })
        assert.deepInclude(schedule, { id: text, payload, recurrence: text, uniqueKey: text, queue: text })
        assert.deepStrictEqual(yield* fire(fireOf(schedule)), fired(1), text)
        const fresh = yield* get(text)
        assert.deepInclude(fresh, { fired: 1, version: 1 })
        assert.deepInclude(yield* row(slotId(text, schedule.next ?? 0)), { scheduleId: text })
        yield* fire(fireOf(fresh, { jobs: [], disable: text }))
        assert.strictEqual((yield* get(text)).disabledReason, text)
      }
      const listed = idsOf(yield* storage.listSchedules({ limit: 1000 }))
      for (const text of texts) assert.include(listed, text)
      assert.isTrue((yield* storage.removeSchedules(texts)).every((one) => one))
      assert.deepStrictEqual(yield* storage.getSchedules(texts), [])
    })
  )

  scheduled("changes are told, where wake-ups are exact", ({ define, fire, fireOf, get, insert, job, storage }) =>
    Effect.gen(function* () {
      if (storage.capabilities.wakeups !== "exact") return
      const heard = yield* listening(storage, insert(job({ due: { delay: hour } })))
      const schedule = define()
      const { id } = schedule
      yield* storage.putSchedules([schedule])
      yield* heard("schedules")
      yield* storage.putSchedules([{ ...schedule, recurrence: "every PT1S", next: 1 }])
      yield* heard("schedules")
      yield* storage.enableSchedules([{ id, enabled: false, next: 1 }])
      yield* heard("schedules")
      yield* storage.enableSchedules([{ id, enabled: true, next: 1 }])
      yield* heard("schedules")
      yield* fire(fireOf(yield* get(id)))
      yield* heard("schedules")
      yield* heard("jobs")
    }).pipe(Effect.scoped)
  )
}
