import { Job, JobQueue, JobSchedule, type JobStorage, Recurrence, Worker } from "dbjobq"
import { Config, type Effect, type Layer, Schema } from "effect"
import { describe, expect, it } from "tstyche"

const Send = Job.make("Send", { payload: { to: Schema.String } })
const Clean = Job.make("Clean")
const recurrence = Recurrence.every("1 hour")

const sending = JobSchedule.make("sending", { job: Send, payload: { to: "ada" }, recurrence })
const cleaning = JobSchedule.make("cleaning", { job: Clean, recurrence })

describe("a schedule", () => {
  it("has its job's payload, optional when empty", () => {
    expect(JobSchedule.make).type.toBeCallableWith("s", { job: Send, payload: { to: "ada" }, recurrence })
    expect(JobSchedule.make).type.not.toBeCallableWith("s", { job: Send, payload: { to: 1 }, recurrence })
    expect(JobSchedule.make).type.not.toBeCallableWith("s", { job: Send, recurrence })
    expect(JobSchedule.make).type.toBeCallableWith("s", { job: Clean, recurrence })
    expect(JobSchedule.make).type.not.toBeCallableWith("s", { job: Clean, recurrence: "0 3 * * *" })
    expect(sending).type.toBe<JobSchedule.JobSchedule<typeof Send>>()
  })

  it("states what to do about missed slots in one of three ways", () => {
    for (const missed of ["skip", "once", { all: 5 }] as const) {
      expect(JobSchedule.make).type.toBeCallableWith("s", { job: Clean, recurrence, missed })
    }
    expect(JobSchedule.make).type.not.toBeCallableWith("s", { job: Clean, recurrence, missed: "all" })
  })

  it("is put without any handler", () => {
    expect<Layer.Layer.Context<ReturnType<typeof JobSchedule.layer>>>().type.toBe<JobStorage.JobStorage>()
    expect(JobQueue.putSchedule).type.toBeCallableWith(sending)
  })
})

describe("a worker with schedules", () => {
  it("needs handlers for their jobs too", () => {
    const both = Worker.layer([Clean], { concurrency: 2, schedules: [sending] })
    expect<Layer.Layer.Context<typeof both>>().type.toBe<
      JobStorage.JobStorage | Job.Handler<"Clean"> | Job.Handler<"Send">
    >()
    const only = Worker.layer([], { schedules: [sending, cleaning] })
    expect<Layer.Layer.Context<typeof only>>().type.toBe<
      JobStorage.JobStorage | Job.Handler<"Clean"> | Job.Handler<"Send">
    >()
    const none = Worker.layer([Clean], { concurrency: 2 })
    expect<Layer.Layer.Context<typeof none>>().type.toBe<JobStorage.JobStorage | Job.Handler<"Clean">>()
  })

  it("may read its tuning from configuration and state its schedules beside it", () => {
    const layer = Worker.layerConfig([Clean], { concurrency: Config.integer("CONCURRENCY") }, { schedules: [sending] })
    expect<Layer.Layer.Context<typeof layer>>().type.toBe<
      JobStorage.JobStorage | Job.Handler<"Clean"> | Job.Handler<"Send">
    >()
  })
})

describe("inside a handler", () => {
  it("the schedule is known, its slot only when it was fired for one", () => {
    expect<Effect.Effect.Success<typeof Job.CurrentJob>["schedule"]>().type.toBe<
      { readonly id: string; readonly slot: number | undefined } | undefined
    >()
  })
})
