/** From a schedule's definition to its row, and back to its recurrence. */
import * as Effect from "effect/Effect"
import type * as Job from "../Job.js"
import { InvalidOption, type PayloadError, type StorageError } from "../JobError.js"
import type { PutSchedule, ScheduleRow, Service } from "../JobStorage.js"
import * as Recurrence from "../Recurrence.js"
import * as Slots from "./recurrence.js"
import * as transient from "./transient.js"

/** What is read of a `JobSchedule`. */
interface Definition
  extends Pick<PutSchedule, "id" | "queue" | "priority" | "missed" | "overlap" | "jitter" | "enabled"> {
  readonly job: Pick<Job.Any, "name" | "encodePayload">
  readonly payload: unknown
  readonly recurrence: Recurrence.Recurrence
  readonly retries: number
}

/** Of the storage's clock, so that a program with a wrong one puts no cursor into the past. */
export const now = (storage: Service): Effect.Effect<number, StorageError> =>
  Effect.map(storage.dueSchedules(0), (found) => found.now)

export const firstSlot = (recurrence: Recurrence.Recurrence, after: number): number | null | InvalidOption => {
  const next = Slots.nextAfter(recurrence, after)
  return next instanceof Slots.Breach
    ? new InvalidOption({ field: "recurrence", rule: "must name slots that are later than asked" })
    : (next ?? null)
}

const row = (
  schedule: Definition,
  at: number,
  storageLimit: number
): Effect.Effect<PutSchedule, PayloadError | InvalidOption> =>
  Effect.gen(function* () {
    const { job, recurrence } = schedule
    const encoded = yield* job.encodePayload(schedule.payload, storageLimit)
    const next = firstSlot(recurrence, at)
    if (next instanceof InvalidOption) return yield* next
    return {
      id: schedule.id,
      job: job.name,
      queue: schedule.queue,
      priority: schedule.priority,
      payload: encoded.text,
      maxAttempts: schedule.retries + 1,
      uniqueKey: encoded.uniqueKey ?? null,
      recurrence: Recurrence.toString(recurrence),
      missed: schedule.missed,
      overlap: schedule.overlap,
      jitter: schedule.jitter,
      enabled: schedule.enabled,
      next
    }
  })

/** All of them or none. Nothing is written when a payload does not encode. */
export const put = (
  storage: Service,
  list: ReadonlyArray<Definition>,
  steady: <A>(effect: Effect.Effect<A, StorageError>) => Effect.Effect<A, StorageError> = transient.retry
): Effect.Effect<ReadonlyArray<ScheduleRow>, PayloadError | InvalidOption | StorageError> =>
  Effect.gen(function* () {
    if (list.length === 0) return []
    const names = new Set<string>()
    for (const { id } of list) {
      if (names.has(id)) return yield* new InvalidOption({ field: "schedules", rule: `must not name ${id} twice` })
      names.add(id)
    }
    const at = yield* steady(now(storage))
    const rows = yield* Effect.forEach(list, (schedule) => row(schedule, at, storage.capabilities.limits.payloadBytes))
    return yield* steady(storage.putSchedules(rows))
  })
