import { Job, JobQueue, type JobStorage, type Worker } from "dbjobq"
import * as MemoryStorage from "dbjobq/storage/MemoryStorage"
import { Context, Effect, type Layer, Schema } from "effect"
import { describe, expect, it } from "tstyche"

class Full extends Schema.TaggedError<Full>()("Full", {}) {}
class Mailer extends Context.Tag("Mailer")<Mailer, { readonly send: Effect.Effect<string> }>() {}

const Send = Job.make("Send", { payload: { to: Schema.String }, success: Schema.String, error: Full })
const Clean = Job.make("Clean")

const sendId = Job.id(Send, "x")
const cleanId = Job.id(Clean, "x")

describe("payloads", () => {
  it("are typed by the job, and optional when empty", () => {
    expect(JobQueue.enqueue).type.toBeCallableWith(Send, { to: "ada" })
    expect(JobQueue.enqueue).type.not.toBeCallableWith(Send, { to: 1 })
    expect(JobQueue.enqueue).type.not.toBeCallableWith(Send)
    expect(JobQueue.enqueue).type.toBeCallableWith(Clean)
  })

  it("need no services to decode, as fields or as a schema", () => {
    const needy = Schema.transformOrFail(Schema.String, Schema.String, {
      decode: () => Effect.flatMap(Mailer, (mailer) => mailer.send),
      encode: (text) => Effect.succeed(text)
    })
    expect(Job.make).type.not.toBeCallableWith("Needy", { payload: { to: needy } })
    expect(Job.make).type.not.toBeCallableWith("Needy", { payload: Schema.Struct({ to: needy }) })
    expect(Job.make).type.not.toBeCallableWith("Needy", { success: needy })
    expect(Job.make).type.toBeCallableWith("Fine", { payload: { to: Schema.optional(Schema.String) } })
    Job.make("Typed", {
      payload: { to: Schema.String },
      uniqueKey: (payload) => {
        expect(payload).type.toBe<{ readonly to: string }>()
        return payload.to
      }
    })
  })
})

describe("ids", () => {
  it("carry the job's name", () => {
    expect(JobQueue.join).type.toBeCallableWith(Send, sendId)
    expect(JobQueue.join).type.not.toBeCallableWith(Send, cleanId)
    expect(JobQueue.join).type.not.toBeCallableWith(Send, "x")
  })
})

describe("handlers", () => {
  it("may fail only with the declared error", () => {
    expect(Send.toLayer).type.toBeCallableWith(() => Effect.fail(new Full()))
    expect(Send.toLayer).type.not.toBeCallableWith(() => Effect.fail("other"))
    expect(Send.toLayer).type.not.toBeCallableWith(() => Effect.succeed(1))
  })

  it("pass their requirements on, less what an attempt provides", () => {
    const live = Send.toLayer(() =>
      Effect.gen(function* () {
        yield* Job.CurrentJob
        yield* Effect.addFinalizer(() => Effect.void)
        return yield* (yield* Mailer).send
      })
    )
    expect(live).type.toBe<Layer.Layer<Job.Handler<"Send">, never, Mailer>>()
  })

  it("that are transactional need a storage that can", () => {
    const live = Send.toLayer(() => Effect.succeed(""), { transactional: true })
    expect(live).type.toBe<Layer.Layer<Job.Handler<"Send">, never, JobStorage.Transactional>>()
    expect(MemoryStorage.layer).type.not.toBeAssignableTo<Layer.Layer<JobStorage.Transactional>>()
  })

  it("are needed for every job of a worker", () => {
    expect<Layer.Layer.Context<ReturnType<typeof Worker.layer<[typeof Send, typeof Clean]>>>>().type.toBe<
      JobStorage.JobStorage | Job.Handler<"Send"> | Job.Handler<"Clean">
    >()
    expect<Job.Handler<string>>().type.not.toBeAssignableTo<Job.Handler<"Send">>()
  })

  it("control outcomes live only inside a handler", () => {
    expect(Job.discard("no")).type.toBe<Effect.Effect<never, never, Job.CurrentJob>>()
  })
})
