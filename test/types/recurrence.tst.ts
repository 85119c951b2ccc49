import { type JobError, Recurrence } from "dbjobq"
import type { DateTime, Either, Option, Schedule, Schema } from "effect"
import { describe, expect, it } from "tstyche"

const hourly = Recurrence.every("1 hour")

describe("recurrences", () => {
  it("come as a value, or with the reason they cannot be", () => {
    expect(hourly).type.toBe<Recurrence.Recurrence>()
    expect(Recurrence.cron("@daily")).type.toBe<Either.Either<Recurrence.Recurrence, JobError.InvalidRecurrence>>()
    expect(Recurrence.every).type.not.toBeCallableWith("an hour")
  })

  it("name slots in UTC, data first or last", () => {
    expect(Recurrence.next(hourly, 0)).type.toBe<Option.Option<DateTime.Utc>>()
    expect(Recurrence.next(0)(hourly)).type.toBe<Option.Option<DateTime.Utc>>()
    expect(Recurrence.upcoming(hourly, 3, new Date(0))).type.toBe<ReadonlyArray<DateTime.Utc>>()
  })

  it("convert to schedules of slots and to text", () => {
    expect(Recurrence.toSchedule(hourly)).type.toBe<Schedule.Schedule<DateTime.Utc>>()
    expect(Recurrence.Schema).type.toBe<Schema.Schema<Recurrence.Recurrence, string>>()
  })
})
