/** Schedules in memory: rows by id, and a heap of the cursors of the enabled ones. */
import type * as Effect from "effect/Effect"
import * as Transitions from "../../internal/scheduleTransitions.js"
import type * as Storage from "../../JobStorage.js"
import * as Heap from "./heap.js"

interface Record {
  row: Storage.ScheduleRow
  cursor: Heap.Entry<Record> | undefined
}

export interface Port {
  readonly atomically: <A>(f: (now: number) => A) => Effect.Effect<A>
  readonly insert: (job: Storage.NewJob, now: number) => Storage.Inserted
  readonly unfinished: (jobId: string) => boolean
  readonly tell: (wakeup: Storage.Wakeup) => void
}

type Operations = Pick<
  Storage.Service,
  "putSchedules" | "removeSchedules" | "enableSchedules" | "getSchedules" | "listSchedules" | "dueSchedules" | "fire"
>

const byId = (a: Storage.ScheduleRow, b: Storage.ScheduleRow): number => (a.id < b.id ? -1 : 1)

export const make = ({ atomically, insert, tell, unfinished }: Port): Operations => {
  const records = new Map<string, Record>()
  const cursors = Heap.make<Record>(Heap.byTime)

  const place = (record: Record): void => {
    if (record.cursor !== undefined) Heap.remove(record.cursor)
    const { enabled, id, next } = record.row
    record.cursor = enabled && next !== null ? Heap.add(cursors, record, { priority: 0, at: next, id }) : undefined
  }

  const write = (record: Record, row: Storage.ScheduleRow): void => {
    if (record.row === row) return
    record.row = row
    place(record)
    tell("schedules")
  }

  const putOne = (schedule: Storage.PutSchedule): Storage.ScheduleRow => {
    const known = records.get(schedule.id)
    if (known !== undefined) {
      write(known, Transitions.edited(known.row, schedule))
      return known.row
    }
    const record: Record = { row: Transitions.fresh(schedule), cursor: undefined }
    records.set(schedule.id, record)
    place(record)
    tell("schedules")
    return record.row
  }

  const fireOne = (fire: Storage.Fire, now: number): Storage.Fired => {
    const record = records.get(fire.schedule)
    if (record === undefined) return { answer: "stale" }
    const { row } = record
    if (!Transitions.isCurrent(row, fire)) return { answer: "stale" }
    const overlaps = fire.overlap === "skip" && row.lastJob !== null && unfinished(row.lastJob)
    const answers = overlaps ? [] : fire.jobs.map((job) => ({ job, ...insert(job, now) }))
    const fired = answers.filter((answer) => answer.answer === "inserted")
    const jobs = fired.map((answer) => answer.job)
    write(record, Transitions.fired(row, fire, jobs, overlaps, now))
    const created = fired.filter((answer) => answer.created).length
    if (created > 0) tell("jobs")
    return { answer: "fired", jobs: created }
  }

  return {
    putSchedules: (schedules) => atomically(() => schedules.map(putOne)),

    removeSchedules: (ids) =>
      atomically(() =>
        ids.map((id) => {
          const record = records.get(id)
          if (record?.cursor !== undefined) Heap.remove(record.cursor)
          return records.delete(id)
        })
      ),

    enableSchedules: (changes) =>
      atomically(() =>
        changes.map(({ enabled, id, next }) => {
          const record = records.get(id)
          if (record === undefined) return false
          write(record, Transitions.switched(record.row, enabled, next))
          return true
        })
      ),

    getSchedules: (ids) =>
      atomically(() =>
        Array.from(new Set(ids)).flatMap((id) => {
          const record = records.get(id)
          return record === undefined ? [] : [record.row]
        })
      ),

    listSchedules: ({ after, limit }) =>
      atomically(() =>
        Array.from(records.values(), (record) => record.row)
          .filter((row) => after === undefined || row.id > after)
          .sort(byId)
          .slice(0, limit)
      ),

    dueSchedules: (limit) =>
      atomically((now) => {
        const due: Array<Record> = []
        let entry = Heap.first(cursors)
        while (entry !== undefined && entry.at <= now) {
          due.push(entry.item)
          Heap.remove(entry)
          entry = Heap.first(cursors)
        }
        const nextIn = entry === undefined ? undefined : entry.at - now
        for (const record of due) place(record)
        return { now, due: due.slice(0, limit).map((record) => record.row), nextIn }
      }),

    fire: (fires) => atomically((now) => fires.map((fire) => fireOne(fire, now)))
  }
}
