/** Schedules in memory: rows by id, and a heap of the cursors of the enabled ones. */
import type * as Effect from "effect/Effect"
import type * as Storage from "../../JobStorage.js"
import * as Rows from "../../Rows.js"
import * as Heap from "./heap.js"

interface Record {
  row: Storage.ScheduleRow
  cursor: Heap.Entry<Record> | undefined
}

export interface Port {
  readonly atomically: <A>(f: (now: number) => A) => Effect.Effect<A>
  readonly insert: (job: Storage.NewJob, now: number) => Storage.Inserted
  readonly get: (jobId: string) => Storage.JobRow | undefined
  readonly tell: (wakeup: Storage.Wakeup) => void
}

type Operations = Pick<
  Storage.Service,
  "putSchedules" | "removeSchedules" | "enableSchedules" | "getSchedules" | "listSchedules" | "dueSchedules" | "fire"
>

export const make = ({ atomically, get, insert, tell }: Port): Operations => {
  const records = new Map<string, Record>()
  const cursors = Heap.make<Record>(Heap.byTime)

  const place = (record: Record): void => {
    if (record.cursor !== undefined) Heap.remove(record.cursor)
    const { enabled, id, next } = record.row
    record.cursor = enabled && next !== null ? Heap.add(cursors, record, { priority: 0, at: next, id }) : undefined
  }

  const apply = <A>(id: string, transition: Rows.Transition<A, Storage.ScheduleRow>): A => {
    const known = records.get(id)
    const { answer, next } = transition(known?.row)
    if (next === undefined || next === null) return answer
    const record = known ?? { row: next, cursor: undefined }
    record.row = next
    records.set(id, record)
    place(record)
    tell("schedules")
    return answer
  }

  const fireOne = (fire: Storage.Fire, now: number): Storage.Fired => {
    const fired = apply(fire.schedule, Rows.fire(fire, { get, insert: (job) => insert(job, now) }, now))
    if (fired.answer === "fired" && fired.jobs > 0) tell("jobs")
    return fired
  }

  return {
    putSchedules: (schedules) =>
      atomically(() => schedules.map((schedule) => apply(schedule.id, Rows.putSchedule(schedule)))),

    removeSchedules: (ids) =>
      atomically(() =>
        ids.map((id) => {
          const record = records.get(id)
          if (record?.cursor !== undefined) Heap.remove(record.cursor)
          return records.delete(id)
        })
      ),

    enableSchedules: (changes) =>
      atomically(() => changes.map((change) => apply(change.id, Rows.enableSchedule(change)))),

    getSchedules: (ids) =>
      atomically(() =>
        Array.from(new Set(ids)).flatMap((id) => {
          const record = records.get(id)
          return record === undefined ? [] : [record.row]
        })
      ),

    listSchedules: (page) =>
      atomically(() =>
        Rows.schedulePage(
          Array.from(records.values(), (record) => record.row),
          page
        )
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
