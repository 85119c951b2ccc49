/**
 * A storage in the process's memory, for tests and for jobs that may be lost with the process.
 *
 * Time is Effect's `Clock`, so `TestClock` drives due times and leases.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Hear from "../internal/hear.js"
import * as Hints from "../internal/hints.js"
import * as Transitions from "../internal/transitions.js"
import type { StorageError } from "../JobError.js"
import type * as Storage from "../JobStorage.js"
import { JobStorage } from "../JobStorage.js"
import * as Rows from "../Rows.js"
import * as Heap from "./memory/heap.js"
import * as Schedules from "./memory/schedules.js"

interface Record {
  row: Storage.JobRow
  /** Its place among the pending, scheduled or running. */
  place: Heap.Entry<Record> | undefined
}

/**
 * A new, empty storage.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Storage.Service> = Effect.gen(function* () {
  const hints = Hints.make()
  const records = new Map<string, Record>()
  // pending rows by name, then queue
  const pending = new Map<string, Map<string, Heap.Heap<Record>>>()
  const scheduled = Heap.make<Record>(Heap.byTime)
  // by lease end as it was when they took their place; a renewed one moves when it surfaces
  const running = Heap.make<Record>(Heap.byTime)
  // in the order they finished, so that retention looks only at the oldest
  const finished: { readonly [S in Transitions.Finished]: Map<string, Record> } = {
    completed: new Map(),
    failed: new Map(),
    cancelled: new Map()
  }
  // holders of unique keys by name, then key
  const holders = new Map<string, Map<string, string>>()
  const tallies = new Map<string, Map<Storage.State, number>>()
  const paused = new Set<string>()
  let ids: Array<string> = []
  let idsSorted = true

  const wake = (): void => hints.tell("jobs")

  const tally = (row: Storage.JobRow, by: 1 | -1): void => {
    const states = tallies.get(row.queue) ?? new Map<Storage.State, number>()
    const count = (states.get(row.state) ?? 0) + by
    if (count > 0) states.set(row.state, count)
    else states.delete(row.state)
    if (states.size > 0) tallies.set(row.queue, states)
    else tallies.delete(row.queue)
  }

  const holderOf: Rows.HolderOf = (name, key) => holders.get(name)?.get(key)

  const seat = (heap: Heap.Heap<Record>, record: Record, at: number): void => {
    if (record.place !== undefined) Heap.remove(record.place)
    record.place = Heap.add(heap, record, { priority: record.row.priority, at, id: record.row.id })
  }

  const enter = (record: Record): void => {
    const { row } = record
    tally(row, 1)
    if (row.state === "scheduled") seat(scheduled, record, row.runAt)
    else if (row.state === "running") seat(running, record, row.leaseUntil ?? 0)
    else if (Transitions.isFinished(row.state)) finished[row.state].set(row.id, record)
    else {
      const queues = pending.get(row.name) ?? new Map<string, Heap.Heap<Record>>()
      pending.set(row.name, queues)
      const heap = queues.get(row.queue) ?? Heap.make<Record>(Heap.byBest)
      queues.set(row.queue, heap)
      seat(heap, record, row.runAt)
    }
    if (row.uniqueKey !== null && !Transitions.isFinished(row.state)) {
      const keys = holders.get(row.name) ?? new Map<string, string>()
      holders.set(row.name, keys.set(row.uniqueKey, row.id))
    }
  }

  const leave = (record: Record): void => {
    const { row } = record
    tally(row, -1)
    if (record.place !== undefined) Heap.remove(record.place)
    record.place = undefined
    if (Transitions.isFinished(row.state)) finished[row.state].delete(row.id)
    else if (row.state === "pending") {
      const queues = pending.get(row.name)
      if (queues?.get(row.queue)?.live === 0) queues.delete(row.queue)
      if (queues?.size === 0) pending.delete(row.name)
    }
    if (row.uniqueKey !== null && !Transitions.isFinished(row.state)) {
      const keys = holders.get(row.name)
      keys?.delete(row.uniqueKey)
      if (keys?.size === 0) holders.delete(row.name)
    }
  }

  const become = (record: Record, row: Storage.JobRow): void => {
    leave(record)
    record.row = row
    enter(record)
  }

  // for fields that decide neither the row's place nor its key
  const touch = (record: Record, patch: Partial<Storage.JobRow>): void => {
    record.row = { ...record.row, ...patch }
  }

  const drop = (record: Record): void => {
    leave(record)
    records.delete(record.row.id)
  }

  const held = (hold: Storage.Hold): Record | undefined => {
    const record = records.get(hold.id)
    return record?.row.state === "running" && record.row.token === hold.token ? record : undefined
  }

  const add = (row: Storage.JobRow): void => {
    const record: Record = { place: undefined, row }
    records.set(row.id, record)
    const last = ids[ids.length - 1]
    if (last !== undefined && last >= row.id) idsSorted = false
    ids.push(row.id)
    enter(record)
  }

  const apply = <A>(id: string, transition: Rows.Transition<A>): A => {
    const record = records.get(id)
    const { answer, next } = transition(record?.row)
    if (record === undefined) {
      if (next) add(next)
    } else if (next === null) drop(record)
    else if (next !== undefined) become(record, next)
    return answer
  }

  const insertOne = (job: Storage.NewJob, now: number): Storage.Inserted =>
    apply(job.id, Rows.insert(job, holderOf, now))

  const settleOne = (outcome: Storage.Outcome, now: number): boolean => {
    const accepted = apply(outcome.id, Rows.settle(outcome, now))
    if (accepted && (outcome.to === "retry" || outcome.to === "snooze" || outcome.to === "release")) wake()
    return accepted
  }

  const firstLease = (): Heap.Entry<Record> | undefined => {
    for (;;) {
      const first = Heap.first(running)
      const end = first?.item.row.leaseUntil ?? 0
      if (first === undefined || end <= first.at) return first
      seat(running, first.item, end)
    }
  }

  const prune = (state: Transitions.Finished, age: number, limit: number, now: number): number => {
    let removed = 0
    for (const record of finished[state].values()) {
      if (removed >= limit || (record.row.finishedAt ?? now) > now - age) break
      drop(record)
      removed++
    }
    return removed
  }

  const sortedIds = (): ReadonlyArray<string> => {
    if (!idsSorted || ids.length > 2 * records.size + 64) {
      ids = Array.from(records.keys()).sort((a, b) => (a < b ? -1 : 1))
      idsSorted = true
    }
    return ids
  }

  // one synchronous step: no other fiber sees a half-made change
  const atomically = <A>(f: (now: number) => A): Effect.Effect<A> =>
    Clock.clockWith((clock) => Effect.sync(() => f(clock.unsafeCurrentTimeMillis())))

  const service: Storage.Service = {
    capabilities: {
      storage: "memory",
      transactional: false,
      wakeups: "exact",
      storeClock: false,
      durable: false,
      limits: {
        payloadBytes: Number.POSITIVE_INFINITY,
        resultBytes: Number.POSITIVE_INFINITY,
        atomicInsert: Number.POSITIVE_INFINITY
      }
    },

    insert: (jobs) =>
      Effect.suspend((): Effect.Effect<ReadonlyArray<Storage.Inserted>, StorageError> => {
        const refused = Rows.refusal(jobs)
        if (refused !== undefined) return Effect.fail(refused)
        return atomically((now) => {
          const answers = jobs.map((job) => insertOne(job, now))
          if (answers.some((answer) => answer.created)) wake()
          return answers
        })
      }),

    claim: (request) =>
      atomically((now) => {
        const heaps: Array<Heap.Heap<Record>> = []
        for (const name of new Set(request.names)) {
          for (const [queue, heap] of pending.get(name) ?? []) {
            if (paused.has(queue) || !Transitions.within(request.queues, queue)) continue
            if (request.exceptQueues?.includes(queue) !== true) heaps.push(heap)
          }
        }
        const rows: Array<Storage.ClaimedJob> = []
        while (rows.length < request.limit) {
          let best: Heap.Entry<Record> | undefined
          for (const heap of heaps) {
            const first = Heap.first(heap)
            if (first !== undefined && (best === undefined || Heap.byBest(first, best))) best = first
          }
          if (best === undefined) break
          const record = best.item
          become(record, Transitions.claimed(record.row, request, now))
          rows.push(Transitions.handedOut(record.row))
        }
        return rows
      }),

    promote: (limit) =>
      atomically((now) => {
        let promoted = 0
        let next = Heap.first(scheduled)
        for (; next !== undefined && next.at <= now && promoted < limit; next = Heap.first(scheduled)) {
          become(next.item, { ...next.item.row, state: "pending" })
          promoted++
        }
        if (promoted > 0) wake()
        return { promoted, nextIn: next === undefined ? undefined : Math.max(0, next.at - now) }
      }),

    settle: (outcomes) => atomically((now) => outcomes.map((outcome) => settleOne(outcome, now))),

    renew: (holds, lease) =>
      atomically((now) =>
        holds.map((hold) => {
          const record = held(hold)
          if (record === undefined) return "lost"
          const leaseUntil = now + lease
          const sooner = leaseUntil < (record.place?.at ?? 0)
          touch(record, { leaseUntil })
          if (sooner) seat(running, record, leaseUntil)
          return record.row.cancelRequested ? "cancelRequested" : "held"
        })
      ),

    progress: (hold, progress, message) =>
      atomically(() => {
        const record = held(hold)
        if (record === undefined) return false
        touch(record, { progress, progressMessage: message })
        return true
      }),

    sweep: (request) =>
      atomically((now) => {
        let rescued = 0
        let ended = 0
        for (let next = firstLease(); next !== undefined && next.at <= now; next = firstLease()) {
          if (rescued + ended >= request.limit) break
          const record = next.item
          become(record, Transitions.expired(record.row, request, now))
          if (record.row.state === "pending") rescued++
          else ended++
        }
        if (rescued > 0) wake()
        let removed = 0
        const instants = [firstLease()?.at]
        for (const state of Transitions.finishedStates) {
          const keep = request.retention[state]
          if (keep === undefined) continue
          removed += prune(state, keep, request.limit - removed, now)
          const oldest = finished[state].values().next().value
          if (oldest !== undefined) instants.push((oldest.row.finishedAt ?? now) + keep)
        }
        const nextAt = Math.min(...instants.filter((at) => at !== undefined))
        return { rescued, ended, removed, nextIn: Number.isFinite(nextAt) ? Math.max(0, nextAt - now) : undefined }
      }),

    cancel: (jobs) => atomically((now) => jobs.map((id) => apply(id, Rows.cancel(now)))),

    rerun: (jobs) =>
      atomically((now) => {
        const answers = jobs.map((id) => apply(id, Rows.rerun(holderOf, now)))
        if (answers.includes("rerun")) wake()
        return answers
      }),

    reschedule: (jobs, due) =>
      atomically((now) => {
        const answers = jobs.map((id) => apply(id, Rows.reschedule(due, now)))
        if (answers.includes("rescheduled")) wake()
        return answers
      }),

    remove: (jobs) => atomically(() => jobs.map((id) => apply(id, Rows.remove))),

    get: (jobs) =>
      atomically(() =>
        Array.from(new Set(jobs)).flatMap((id) => {
          const record = records.get(id)
          return record === undefined ? [] : [record.row]
        })
      ),

    list: ({ after, filter, limit }) =>
      atomically(() => {
        const all = sortedIds()
        let low = 0
        let high = after === undefined ? 0 : all.length
        while (low < high) {
          const middle = (low + high) >> 1
          if (after !== undefined && (all[middle] ?? "") > after) high = middle
          else low = middle + 1
        }
        const rows: Array<Storage.JobRow> = []
        for (let at = low; at < all.length && rows.length < limit; at++) {
          const record = records.get(all[at] ?? "")
          if (record !== undefined && Transitions.matches(filter, record.row)) rows.push(record.row)
        }
        return rows
      }),

    counts: atomically(() =>
      Array.from(tallies).flatMap(([queue, states]) =>
        Array.from(states, ([state, count]) => ({ queue, state, count }))
      )
    ),

    pauseQueue: (queue) =>
      atomically(() => {
        paused.add(queue)
      }),

    resumeQueue: (queue) =>
      atomically(() => {
        if (paused.delete(queue)) wake()
      }),

    pausedQueues: atomically(() => Array.from(paused)),

    prune: (states, age, limit) =>
      atomically((now) => {
        let removed = 0
        for (const state of states) removed += prune(state, age, limit - removed, now)
        return removed
      }),

    ...Schedules.make({
      atomically,
      tell: hints.tell,
      insert: insertOne,
      get: (id) => records.get(id)?.row
    }),

    wakeups: Hear.stream(hints.hear)
  }
  return service
})

/**
 * The storage as a Layer; each build of it is a new, empty storage.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<JobStorage> = Layer.effect(JobStorage, make)
