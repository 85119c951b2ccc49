/**
 * A model-based property test of a storage: random operations against a model that knows states and counters only.
 *
 * @since 0.1.0
 */
import { assert, layer as withLayer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import type * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import type { Outcome, State } from "../JobStorage.js"
import { JobStorage } from "../JobStorage.js"
import { nextId } from "./kit.js"

/**
 * Options of the suite.
 *
 * @since 0.1.0
 * @category models
 */
export interface ModelOptions {
  /** How many random sequences of operations; default 30. */
  readonly numRuns?: number | undefined
  /** Milliseconds for the whole property; default 60 seconds. */
  readonly timeout?: number | undefined
}

interface Modelled {
  readonly id: string
  readonly key: string | null
  readonly priority: number
  state: State
  attempt: number
  token: number
  generation: number
  crashes: number
  cancelRequested: boolean
  expires: boolean
}

type To = Outcome["to"]

type Command =
  | { readonly op: "insert"; readonly key: string | null; readonly later: boolean; readonly priority: number }
  | { readonly op: "claim"; readonly limit: number; readonly expires: boolean }
  | { readonly op: "settle"; readonly at: number; readonly to: To; readonly later: boolean; readonly stale: boolean }
  | { readonly op: "cancel" | "rerun" | "remove" | "renew"; readonly at: number }
  | { readonly op: "reschedule"; readonly at: number; readonly later: boolean }
  | { readonly op: "sweep" }

const hour = 3_600_000
const maxAttempts = 3
const crashLimit = 2

const isFinished = (state: State): boolean => state === "completed" || state === "failed" || state === "cancelled"

const at = FastCheck.nat(7)

const command: FastCheck.Arbitrary<Command> = FastCheck.oneof(
  {
    weight: 4,
    arbitrary: FastCheck.record({
      op: FastCheck.constant("insert" as const),
      key: FastCheck.constantFrom(null, "a", "b"),
      later: FastCheck.boolean(),
      priority: FastCheck.integer({ min: -1, max: 1 })
    })
  },
  {
    weight: 4,
    arbitrary: FastCheck.record({
      op: FastCheck.constant("claim" as const),
      limit: FastCheck.nat(3),
      expires: FastCheck.boolean()
    })
  },
  {
    weight: 6,
    arbitrary: FastCheck.record({
      op: FastCheck.constant("settle" as const),
      at,
      to: FastCheck.constantFrom<Array<To>>("complete", "retry", "fail", "cancel", "snooze", "release"),
      later: FastCheck.boolean(),
      stale: FastCheck.boolean()
    })
  },
  {
    weight: 5,
    arbitrary: FastCheck.record({
      op: FastCheck.constantFrom("cancel" as const, "rerun" as const, "remove" as const, "renew" as const),
      at
    })
  },
  {
    weight: 2,
    arbitrary: FastCheck.record({ op: FastCheck.constant("reschedule" as const), at, later: FastCheck.boolean() })
  },
  { weight: 1, arbitrary: FastCheck.record({ op: FastCheck.constant("sweep" as const) }) }
)

const outcome = (id: string, token: number, to: To, delay: number): Outcome => {
  switch (to) {
    case "complete":
      return { id, token, to, result: "1" }
    case "retry":
      return { id, token, to, delay, failure: "{}" }
    case "fail":
      return { id, token, to, failure: "{}" }
    case "snooze":
      return { id, token, to, delay }
    default:
      return { id, token, to }
  }
}

const settled = (job: Modelled, to: To, later: boolean): State => {
  if (to === "complete") return "completed"
  if (to === "fail") return "failed"
  if (to === "cancel" || job.cancelRequested) return "cancelled"
  return later && to !== "release" ? "scheduled" : "pending"
}

const run = (commands: ReadonlyArray<Command>): Effect.Effect<void, unknown, JobStorage> =>
  Effect.gen(function* () {
    const storage = yield* JobStorage
    const name = `m-${crypto.randomUUID()}`
    const jobs: Array<Modelled> = []
    const holder = (key: string | null) =>
      key === null ? undefined : jobs.find((job) => job.key === key && !isFinished(job.state))

    for (const step of commands) {
      if (step.op === "insert") {
        const id = nextId()
        const held = holder(step.key)
        const answers = yield* storage.insert([
          {
            id,
            name,
            queue: name,
            priority: step.priority,
            payload: "{}",
            due: { delay: step.later ? hour : 0 },
            maxAttempts,
            uniqueKey: step.key,
            tags: [],
            traceparent: null,
            scheduleId: null,
            slot: null
          }
        ])
        assert.deepStrictEqual(answers, [
          held === undefined
            ? { id, answer: "inserted", created: true }
            : { id: held.id, answer: "duplicate", created: false }
        ])
        if (held !== undefined) continue
        jobs.push({
          id,
          key: step.key,
          priority: step.priority,
          state: step.later ? "scheduled" : "pending",
          attempt: 0,
          token: 0,
          generation: 1,
          crashes: 0,
          cancelRequested: false,
          expires: false
        })
      } else if (step.op === "claim") {
        const lease = step.expires ? 1 : hour
        const rows = yield* storage.claim({ names: [name], limit: step.limit, owner: "w", lease })
        const pending = jobs.filter((job) => job.state === "pending")
        assert.strictEqual(rows.length, Math.min(step.limit, pending.length))
        const best = pending
          .map((job) => job.priority)
          .sort((a, b) => b - a)
          .slice(0, rows.length)
        assert.deepStrictEqual(
          rows.map((row) => row.priority),
          best
        )
        for (const row of rows) {
          const job = pending.find((one) => one.id === row.id)
          assert(job !== undefined, "only pending rows are claimed")
          Object.assign(job, {
            state: "running",
            attempt: job.attempt + 1,
            token: job.token + 1,
            expires: step.expires
          })
        }
      } else if (step.op === "sweep") {
        yield* Effect.sleep(5)
        yield* storage.sweep({ limit: 1000, crashLimit, crashFailure: "{}", retention: {} })
        for (const job of jobs.filter((one) => one.state === "running" && one.expires)) {
          job.crashes++
          job.token++
          const over = job.attempt >= maxAttempts || job.crashes >= crashLimit
          job.state = job.cancelRequested ? "cancelled" : over ? "failed" : "pending"
        }
      } else {
        const job = jobs[step.at % Math.max(1, jobs.length)]
        if (job === undefined) continue
        const { id, state } = job
        if (step.op === "settle") {
          const token = step.stale ? job.token - 1 : job.token
          const [accepted] = yield* storage.settle([outcome(id, token, step.to, step.later ? hour : 0)])
          if (token <= 0) assert.isFalse(accepted, "a token that was never given holds nothing")
          if (state === "running" || step.stale) assert.strictEqual(accepted, !step.stale)
          if (state === "running" && !step.stale) {
            job.state = settled(job, step.to, step.later)
            if (step.to === "snooze" || step.to === "release") job.attempt--
          }
        } else if (step.op === "renew") {
          const answers = yield* storage.renew([job], hour)
          assert.deepStrictEqual(answers, [
            state !== "running" ? "lost" : job.cancelRequested ? "cancelRequested" : "held"
          ])
          job.expires = false
        } else if (step.op === "cancel") {
          const answers = yield* storage.cancel([id])
          const ended = state === "completed" || state === "failed"
          assert.deepStrictEqual(answers, [ended ? "finished" : state === "running" ? "requested" : "cancelled"])
          if (state === "running") job.cancelRequested = true
          else if (!isFinished(state)) Object.assign(job, { state: "cancelled", token: job.token + 1 })
        } else if (step.op === "rerun") {
          const answers = yield* storage.rerun([id])
          const duplicate = holder(job.key) !== undefined
          assert.deepStrictEqual(answers, [!isFinished(state) ? "unfinished" : duplicate ? "duplicate" : "rerun"])
          if (isFinished(state) && !duplicate) {
            Object.assign(job, {
              state: "pending",
              attempt: 0,
              crashes: 0,
              cancelRequested: false,
              token: job.token + 1,
              generation: job.generation + 1
            })
          }
        } else if (step.op === "reschedule") {
          const answers = yield* storage.reschedule([id], { delay: step.later ? hour : 0 })
          assert.deepStrictEqual(answers, [
            isFinished(state) ? "finished" : state === "running" ? "running" : "rescheduled"
          ])
          if (state === "pending" || state === "scheduled") job.state = step.later ? "scheduled" : "pending"
        } else {
          assert.deepStrictEqual(yield* storage.remove([id]), [state === "running" ? "running" : "removed"])
          if (state !== "running") jobs.splice(jobs.indexOf(job), 1)
        }
      }

      const rows = yield* storage.list({ filter: { names: [name] }, limit: 1000 })
      assert.deepStrictEqual(
        rows.map(({ attempt, crashes, generation, id, state, token }) => ({
          attempt,
          crashes,
          generation,
          id,
          state,
          token
        })),
        jobs.map(({ attempt, crashes, generation, id, state, token }) => ({
          attempt,
          crashes,
          generation,
          id,
          state,
          token
        })),
        `after ${JSON.stringify(step)}`
      )
      for (const row of rows) {
        assert.strictEqual(row.owner !== null && row.leaseUntil !== null, row.state === "running")
        assert.strictEqual(row.finishedAt !== null, isFinished(row.state))
      }
    }
    // nothing stays behind for the next run's sweep
    for (const job of jobs) {
      yield* storage.settle([{ id: job.id, token: job.token, to: "cancel" }])
    }
    yield* storage.remove(jobs.map((job) => job.id))
  })

/**
 * Declares the property for one storage: random operations agree with a model, and what fails is shrunk to the shortest
 * case.
 *
 * @since 0.1.0
 * @category suites
 */
export const storageModel = (
  label: string,
  layer: Layer.Layer<JobStorage, unknown>,
  options: ModelOptions = {}
): void => {
  const timeout = options.timeout ?? 60_000
  withLayer(layer, { excludeTestServices: true, timeout })(`${label}: model`, (it) => {
    it.effect(
      "agrees with the model after every operation",
      () =>
        Effect.gen(function* () {
          const runtime = yield* Effect.runtime<JobStorage>()
          yield* Effect.promise(() =>
            FastCheck.assert(
              FastCheck.asyncProperty(
                FastCheck.array(command, { minLength: 1, maxLength: 40, size: "max" }),
                (commands) => Runtime.runPromise(runtime)(run(commands))
              ),
              { numRuns: options.numRuns ?? 30 }
            )
          )
        }),
      timeout
    )
  })
}
