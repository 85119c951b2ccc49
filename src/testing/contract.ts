/**
 * What every storage must do, as test suites written against the seam only. For vitest with `@effect/vitest`.
 *
 * Tests use their own queues and names, so they can share one database, and real time, so they can run on a server.
 *
 * @since 0.1.0
 */
import { assert, describe, layer as withLayer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { ClaimedJob, Filter, Hold, NewJob, Outcome, State } from "../JobStorage.js"
import { JobStorage } from "../JobStorage.js"
import { hour, idsOf, kit, listening, until } from "./kit.js"
import { scheduleContract } from "./scheduleContract.js"

export { type ModelOptions, storageModel } from "./model.js"

/**
 * Options of the suite.
 *
 * @since 0.1.0
 * @category models
 */
export interface ContractOptions {
  /** Milliseconds for one test; default 30 seconds. */
  readonly timeout?: number | undefined
}

const outcomes = (hold: Hold): ReadonlyArray<Outcome> => {
  const { id, token } = hold
  return [
    { id, token, to: "complete", result: "1" },
    { id, token, to: "retry", delay: 0, failure: "{}" },
    { id, token, to: "retry", delay: hour, failure: "{}" },
    { id, token, to: "fail", failure: "{}" },
    { id, token, to: "cancel" },
    { id, token, to: "snooze", delay: hour },
    { id, token, to: "release" }
  ]
}

const leadsTo = (outcome: Outcome): State => {
  switch (outcome.to) {
    case "complete":
      return "completed"
    case "fail":
      return "failed"
    case "cancel":
      return "cancelled"
    case "release":
      return "pending"
    default:
      return outcome.delay > 0 ? "scheduled" : "pending"
  }
}

const label = (outcome: Outcome): string => `settle ${outcome.to}${"delay" in outcome ? ` ${outcome.delay}` : ""}`

const finishedStates = ["completed", "failed", "cancelled"] as const
const allStates: ReadonlyArray<State> = ["scheduled", "pending", "running", ...finishedStates]

/**
 * Declares the suite for one storage: every operation, edge of the state graph, lost reply, race and hostile text.
 *
 * @since 0.1.0
 * @category suites
 */
export const storageContract = (
  label_: string,
  layer: Layer.Layer<JobStorage, unknown>,
  options: ContractOptions = {}
): void => {
  const timeout = options.timeout ?? 30_000
  withLayer(layer, { excludeTestServices: true, timeout })(`${label_}: contract`, (it) => {
    const test = <A, E>(title: string, body: Effect.Effect<A, E, JobStorage>) => it.effect(title, () => body, timeout)

    test(
      "insert, get: a fresh row has every field as given",
      Effect.gen(function* () {
        const { insert, job, row, storage } = yield* kit
        const made = job({
          priority: -7,
          tags: ["a", "b"],
          traceparent: "00-a-b-01",
          uniqueKey: "k",
          maxAttempts: 4,
          scheduleId: "s",
          slot: 1_700_000_000_000
        })
        const before = Date.now()
        assert.deepStrictEqual(yield* insert(made), [{ id: made.id, answer: "inserted", created: true }])
        const found = yield* row(made.id)
        const { due: _due, ...given } = made
        assert.deepInclude(found, {
          ...given,
          state: "pending",
          attempt: 0,
          crashes: 0,
          generation: 1,
          token: 0,
          owner: null,
          leaseUntil: null,
          cancelRequested: false,
          result: null,
          failure: null,
          progress: null,
          progressMessage: null,
          startedAt: null,
          finishedAt: null
        })
        assert.isBelow(Math.abs(found.enqueuedAt - before), 60_000)
        assert.strictEqual(found.runAt, found.enqueuedAt)
        assert.deepStrictEqual(yield* storage.get(["no-such-id"]), [])
        assert.deepStrictEqual(yield* storage.insert([]), [])
        assert.deepStrictEqual(yield* storage.get([]), [])
      })
    )

    test(
      "insert: repeats, conflicts, duplicates",
      Effect.gen(function* () {
        const { insert, job, name, row } = yield* kit
        const a = job({ uniqueKey: "k" })
        const b = job({ uniqueKey: "k" })
        const c = job()
        yield* insert(a)
        const answers = yield* insert(
          a,
          b,
          { ...a, name: `${name}-other` },
          c,
          job({ name: `${name}-other`, uniqueKey: "k" })
        )
        assert.deepStrictEqual(
          answers.map(({ answer, created }) => [answer, created]),
          [
            ["inserted", false],
            ["duplicate", false],
            ["conflict", false],
            ["inserted", true],
            ["inserted", true]
          ]
        )
        assert.strictEqual(answers[1]?.id, a.id)
        assert.strictEqual((yield* row(a.id)).name, name)
        const first = job({ uniqueKey: "batch" })
        const second = job({ uniqueKey: "batch" })
        assert.deepStrictEqual(yield* insert(first, second), [
          { id: first.id, answer: "inserted", created: true },
          { id: first.id, answer: "duplicate", created: false }
        ])
      })
    )

    test(
      "insert: unlike jobs in one write, each as it was given; of those refused nothing is left",
      Effect.gen(function* () {
        const { insert, job, name, queue, row, storage } = yield* kit
        const jobs = [
          job({ priority: 3, payload: `{"a":1}` }),
          job({ priority: 3, payload: `{"a":2}` }),
          job({ priority: 3, uniqueKey: "u" }),
          job({ priority: 3, uniqueKey: "v", payload: `{"a":3}` }),
          job({ queue: `${queue}-other`, tags: ["x", "y"] }),
          job({ due: { delay: hour }, traceparent: "00-1-2-01", maxAttempts: 9 }),
          job({ due: { delay: hour }, scheduleId: "s", slot: 5 })
        ]
        const refused = [job({ uniqueKey: "u" }), job({ uniqueKey: "v", tags: ["z"] })]
        const answers = yield* insert(...jobs.slice(0, 4), ...refused, ...jobs.slice(4))
        assert.deepStrictEqual(
          answers.map(({ answer }) => answer),
          [...jobs.slice(0, 4).map(() => "inserted"), "duplicate", "duplicate", ...jobs.slice(4).map(() => "inserted")]
        )
        for (const made of jobs) {
          const found = yield* row(made.id)
          for (const field of [
            "priority",
            "payload",
            "uniqueKey",
            "queue",
            "traceparent",
            "maxAttempts",
            "slot"
          ] as const) {
            assert.deepStrictEqual(found[field], made[field], field)
          }
          assert.deepStrictEqual(found.tags, made.tags)
          assert.strictEqual(found.state, "delay" in made.due && made.due.delay > 0 ? "scheduled" : "pending")
        }
        assert.deepStrictEqual(yield* storage.get(idsOf(refused)), [])
        const listed = yield* storage.list({ filter: { names: [name] }, after: undefined, limit: 100 })
        assert.sameMembers([...idsOf(listed)], [...idsOf(jobs)])
        const counts = (yield* storage.counts).filter((count) => count.queue.startsWith(queue))
        assert.sameDeepMembers(counts.slice(), [
          { queue, state: "pending", count: 4 },
          { queue, state: "scheduled", count: 2 },
          { queue: `${queue}-other`, state: "pending", count: 1 }
        ])
      })
    )

    test(
      "insert: 5,000 rows in one write are all there",
      Effect.gen(function* () {
        const { jobs, name, queue, storage } = yield* kit
        const many = jobs(5000)
        const answers = yield* storage.insert(many)
        assert.isTrue(answers.every((answer, at) => answer.created && answer.id === many[at]?.id))
        const seen: Array<string> = []
        for (let after: string | undefined; ; ) {
          const page = yield* storage.list({ filter: { names: [name] }, after, limit: 700 })
          seen.push(...idsOf(page))
          after = page[page.length - 1]?.id
          if (page.length < 700) break
        }
        assert.deepStrictEqual(seen, idsOf(many))
        const counts = yield* storage.counts
        assert.deepStrictEqual(
          counts.filter((count) => count.queue === queue),
          [{ queue, state: "pending", count: 5000 }]
        )
      })
    )

    test(
      "settle: 2,000 outcomes at once",
      Effect.gen(function* () {
        const { claim, jobs, queue, storage } = yield* kit
        yield* storage.insert(jobs(2000))
        const rows = yield* claim(2000)
        assert.strictEqual(rows.length, 2000)
        const answers = yield* storage.settle(
          rows.map(({ id, token }, at) => ({
            id,
            token: at % 2 === 0 ? token : token + 1,
            to: "complete",
            result: null
          }))
        )
        assert.deepStrictEqual(
          answers,
          rows.map((_, at) => at % 2 === 0)
        )
        const counts = (yield* storage.counts).filter((count) => count.queue === queue)
        assert.sameDeepMembers(counts.slice(), [
          { queue, state: "completed", count: 1000 },
          { queue, state: "running", count: 1000 }
        ])
      })
    )

    test(
      "claim: what a claimed row looks like",
      Effect.gen(function* () {
        const { claim, insert, job, name, queue, row, settle, storage } = yield* kit
        const made = job({ priority: 3, maxAttempts: 4, traceparent: "00-a-b-01", scheduleId: "s", slot: 60_000 })
        yield* insert(made)
        const claimed = yield* claim(1)
        const held = yield* row(made.id)
        assert.strictEqual(claimed.length, 1)
        assert.deepInclude(claimed[0], {
          id: made.id,
          name,
          queue,
          priority: 3,
          payload: "{}",
          runAt: held.runAt,
          attempt: 1,
          maxAttempts: 4,
          token: 1,
          traceparent: "00-a-b-01",
          scheduleId: "s",
          slot: 60_000,
          enqueuedAt: held.enqueuedAt
        })
        assert.deepInclude(held, { state: "running", attempt: 1, token: 1, owner: "w", queue, generation: 1 })
        assert.isNotNull(held.startedAt)
        // a store may read its clock twice
        assert.closeTo((held.leaseUntil ?? 0) - (held.startedAt ?? 0), hour, 5)
        yield* storage.progress(held, 0.5, "half")
        yield* settle({ id: held.id, token: held.token, to: "retry", delay: 0, failure: `"why"` })
        yield* claim(1, { owner: "other" })
        assert.deepInclude(yield* row(held.id), {
          attempt: 2,
          token: 2,
          owner: "other",
          failure: `"why"`,
          progress: null,
          progressMessage: null
        })
        assert.deepStrictEqual(yield* claim(10), [])
      })
    )

    test(
      "claim: many names in many queues are one order, whatever waits beside them",
      Effect.gen(function* () {
        const { claim, insert, job, name, queue } = yield* kit
        const past = Date.now() - hour
        const one = (at: number, priority: number, offset: number) => ({
          job: job({
            name: `${name}-${["a", "b", "é"][at % 3]}`,
            queue: `${queue}-${at % 5}`,
            priority,
            due: { runAt: past + offset }
          }),
          priority,
          offset
        })
        const mixed = Array.from({ length: 300 }, (_, at) => one(at, (at % 4) - 2, (at * 7919) % 50))
        // more of one name, in one queue, than any fair share of a claim
        const urgent = Array.from({ length: 100 }, (_, at) => one(15 * at, 5, at % 10))
        const made = [...mixed, ...urgent]
        const others = Array.from({ length: 200 }, (_, at) => job({ queue: `${queue}-${at % 6}`, priority: 9 }))
        yield* insert(...others, ...made.map((each) => each.job))
        const expected = made
          .sort((x, y) => y.priority - x.priority || x.offset - y.offset || (x.job.id < y.job.id ? -1 : 1))
          .map((each) => each.job.id)
        const names = ["a", "b", "é", "none"].map((suffix) => `${name}-${suffix}`)
        const taken: Array<string> = []
        for (const limit of [1, 3, 60, 90, 7, 150, 200]) taken.push(...idsOf(yield* claim(limit, { names })))
        assert.deepStrictEqual(taken, expected)
      })
    )

    test(
      "claim: priority, then due time, then id; never more than the limit",
      Effect.gen(function* () {
        const { claim, insert, job } = yield* kit
        const past = Date.now() - hour
        const at = (offset: number, priority = 0) => job({ due: { runAt: past + offset }, priority })
        const [low, late, early, tie1, tie2, high, low32, high32] = [
          at(0, -1),
          at(20),
          at(5),
          at(10),
          at(10),
          at(99, 3),
          at(0, -2147483648),
          at(100, 2147483647)
        ]
        yield* insert(low, tie2, late, high, early, tie1, low32, high32)
        const expected = idsOf([high32, high, early, tie1, tie2, late, low, low32])
        assert.deepStrictEqual(yield* claim(0), [])
        const first = yield* claim(3)
        assert.deepStrictEqual(idsOf(first), expected.slice(0, 3))
        assert.deepStrictEqual(idsOf(yield* claim(100)), expected.slice(3))
      })
    )

    test(
      "claim: names, queues and exceptQueues narrow",
      Effect.gen(function* () {
        const { claim, insert, job, name, queue } = yield* kit
        const other = `${queue}-2`
        const third = `${queue}-3`
        const [a, b, c, d] = [job(), job({ queue: other }), job({ queue: third }), job({ name: `${name}-2` })]
        yield* insert(a, b, c, d)
        assert.deepStrictEqual(yield* claim(10, { names: [] }), [])
        assert.deepStrictEqual(yield* claim(10, { queues: [] }), [])
        assert.deepStrictEqual(yield* claim(10, { names: [`${name}-none`] }), [])
        assert.deepStrictEqual(idsOf(yield* claim(10, { queues: [other] })), [b.id])
        assert.deepStrictEqual(idsOf(yield* claim(10, { exceptQueues: [queue] })), [c.id])
        assert.deepStrictEqual(yield* claim(10, { queues: [queue], exceptQueues: [queue] }), [])
        assert.deepStrictEqual(idsOf(yield* claim(10, { names: [name, `${name}-2`], exceptQueues: [] })), [a.id, d.id])
      })
    )

    test(
      "claim: 20 claimers over 300 rows take each row once",
      Effect.gen(function* () {
        const { claim, jobs, storage } = yield* kit
        const made = jobs(300)
        yield* storage.insert(made)
        const claimer = (owner: string) =>
          Effect.gen(function* () {
            const taken: Array<ClaimedJob> = []
            // a busy store may answer a concurrent claim with fewer rows, so an empty answer is asked again
            for (let empty = 0; empty < 3; ) {
              const rows = yield* claim(7, { owner })
              assert.isAtMost(rows.length, 7)
              const own = yield* storage.get(idsOf(rows))
              assert.isTrue(own.every((row) => row.owner === owner))
              taken.push(...rows)
              if (rows.length === 0) empty++
            }
            return taken
          })
        const taken = (yield* Effect.forEach(Array.from({ length: 20 }), (_, at) => claimer(`w${at}`), {
          concurrency: "unbounded"
        })).flat()
        assert.deepStrictEqual(idsOf(taken).sort(), idsOf(made).sort())
        assert.isTrue(taken.every((row) => row.token === 1 && row.attempt === 1))
      })
    )

    test(
      "never early: a delayed row is neither claimed nor promoted before its time",
      Effect.gen(function* () {
        const { claim, insert, job, row, stateOf, storage } = yield* kit
        const soon = job({ due: { delay: 400 } })
        const later = job({ due: { delay: hour } })
        const made = Date.now()
        yield* insert(soon, later)
        assert.strictEqual(yield* stateOf(soon.id), "scheduled")
        const scheduled = yield* row(soon.id)
        assert.strictEqual(scheduled.runAt - scheduled.enqueuedAt, 400)
        const { nextIn } = yield* storage.promote(1000)
        assert(nextIn !== undefined && nextIn <= 400)
        const [held] = yield* until(Effect.zipRight(storage.promote(1000), claim(10)), (rows) => rows.length > 0)
        assert.strictEqual(held?.id, soon.id)
        assert.isAtLeast((yield* row(soon.id)).startedAt ?? 0, scheduled.runAt)
        assert.isAtLeast(Date.now() - made, 390)
        assert.strictEqual(yield* stateOf(later.id), "scheduled")
      })
    )

    test(
      "promote: at most the limit",
      Effect.gen(function* () {
        const { jobs, name, storage } = yield* kit
        const pending = Effect.map(
          storage.list({ filter: { names: [name], states: ["pending"] }, limit: 100 }),
          (rows) => rows.length
        )
        yield* storage.insert(jobs(10, { due: { delay: 300 } }))
        assert.strictEqual(yield* pending, 0)
        assert.strictEqual((yield* storage.promote(0)).promoted, 0)
        yield* Effect.sleep(400)
        assert.strictEqual((yield* storage.promote(4)).promoted, 4)
        yield* until(storage.promote(4), ({ promoted }) => promoted === 0)
        assert.strictEqual(yield* pending, 10)
      })
    )

    describe("state edges", () => {
      const ops: ReadonlyArray<readonly [string, { readonly [S in State]?: State | "gone" }]> = [
        ["claim", { pending: "running" }],
        ["promote", {}],
        ["sweep", {}],
        ["renew", {}],
        ["progress", {}],
        ["cancel", { scheduled: "cancelled", pending: "cancelled" }],
        ["rerun", { completed: "pending", failed: "pending", cancelled: "pending" }],
        ["reschedule now", { scheduled: "pending" }],
        ["reschedule later", { pending: "scheduled" }],
        [
          "remove",
          {
            scheduled: "gone",
            pending: "gone",
            completed: "gone",
            failed: "gone",
            cancelled: "gone"
          }
        ],
        ...outcomes({ id: "", token: 0 }).map((outcome) => [label(outcome), { running: leadsTo(outcome) }] as const)
      ]
      for (const from of allStates) {
        test(
          `from ${from}: only the edges of the graph`,
          Effect.gen(function* () {
            const { claim, make, row, stateOf, storage, sweep } = yield* kit
            for (const [op, edges] of ops) {
              const id = yield* make(from)
              const before = yield* row(id)
              const hold = { id, token: before.token }
              if (op === "claim") yield* claim(1)
              else if (op === "promote") yield* storage.promote(1000)
              else if (op === "sweep") yield* sweep({ retention: { completed: hour, failed: hour, cancelled: hour } })
              else if (op === "renew") yield* storage.renew([hold], hour)
              else if (op === "progress") yield* storage.progress(hold, 0.1, null)
              else if (op === "cancel") yield* storage.cancel([id])
              else if (op === "rerun") yield* storage.rerun([id])
              else if (op === "reschedule now") yield* storage.reschedule([id], { delay: 0 })
              else if (op === "reschedule later") yield* storage.reschedule([id], { delay: hour })
              else if (op === "remove") yield* storage.remove([id])
              else yield* storage.settle(outcomes(hold).filter((outcome) => label(outcome) === op))
              const expected = edges[from] ?? from
              assert.strictEqual((yield* stateOf(id)) ?? "gone", expected, `${from} –${op}→`)
              if (expected !== "gone") {
                const after = yield* row(id)
                const finished = expected === "completed" || expected === "failed" || expected === "cancelled"
                assert.strictEqual(after.finishedAt !== null, finished, `${from} –${op}→ finishedAt`)
                assert.strictEqual(after.owner !== null, expected === "running", `${from} –${op}→ owner`)
                assert.strictEqual(after.leaseUntil !== null, expected === "running", `${from} –${op}→ lease`)
                // clear the way for the next operation's row
                yield* storage.cancel([id])
                yield* storage.settle([{ id, token: after.token, to: "cancel" }])
              }
            }
          })
        )
      }
    })

    test(
      "settle: what each outcome records",
      Effect.gen(function* () {
        const { row, settle, take } = yield* kit
        for (const outcome of outcomes({ id: "", token: 0 })) {
          const held = yield* take()
          assert.isTrue(yield* settle({ ...outcome, id: held.id, token: held.token }))
          const after = yield* row(held.id)
          assert.strictEqual(after.state, leadsTo(outcome))
          assert.strictEqual(after.token, held.token)
          assert.strictEqual(after.attempt, outcome.to === "snooze" || outcome.to === "release" ? 0 : 1)
          assert.strictEqual(after.result, outcome.to === "complete" ? outcome.result : null)
          assert.strictEqual(after.failure, "failure" in outcome ? outcome.failure : null)
          if ("delay" in outcome && outcome.delay > 0) assert.isAtLeast(after.runAt - (held.startedAt ?? 0), hour)
          // out of the way of the next claim
          yield* Effect.flatMap(JobStorage, (storage) => storage.remove([held.id]))
        }
      })
    )

    test(
      "settle: what is put off is neither promoted nor claimed before its time, and then it is",
      Effect.gen(function* () {
        const { claim, row, settle, storage, take } = yield* kit
        for (const to of ["retry", "snooze"] as const) {
          const { id, token } = yield* take()
          const delay = 400
          yield* settle(to === "retry" ? { id, token, to, delay, failure: `"x"` } : { id, token, to, delay })
          const { nextIn, promoted } = yield* storage.promote(1000)
          assert.strictEqual(promoted, 0, to)
          assert.isAtLeast(nextIn ?? 0, 1, to)
          assert.isAtMost(nextIn ?? Number.POSITIVE_INFINITY, delay, to)
          assert.deepStrictEqual(yield* claim(10), [], to)
          const { runAt } = yield* row(id)
          const [again] = yield* until(Effect.zipRight(storage.promote(1000), claim(10)), (rows) => rows.length > 0)
          assert.strictEqual(again?.id, id, to)
          assert.isAtLeast((yield* row(id)).startedAt ?? 0, runAt, to)
          yield* storage.settle([{ id, token: again?.token ?? 0, to: "complete", result: null }])
        }
      })
    )

    test(
      "settle: unlike outcomes in one write, each recorded with its own",
      Effect.gen(function* () {
        const { row, storage, take } = yield* kit
        const [a, b, c, d, e] = [yield* take(), yield* take(), yield* take(), yield* take(), yield* take()]
        const answers = yield* storage.settle([
          { id: a.id, token: a.token, to: "complete", result: `"ä \\u0000 \\" 1"` },
          { id: b.id, token: b.token, to: "complete", result: null },
          { id: c.id, token: c.token, to: "fail", failure: `{"c":1}` },
          { id: d.id, token: d.token, to: "retry", delay: hour, failure: `{"d":1}` },
          { id: e.id, token: e.token + 1, to: "cancel" }
        ])
        assert.deepStrictEqual(answers, [true, true, true, true, false])
        const rows = yield* Effect.forEach([a, b, c, d, e], ({ id }) => row(id))
        assert.deepStrictEqual(
          rows.map(({ failure, result, state }) => [state, result, failure]),
          [
            ["completed", `"ä \\u0000 \\" 1"`, null],
            ["completed", null, null],
            ["failed", null, `{"c":1}`],
            ["scheduled", null, `{"d":1}`],
            ["running", null, null]
          ]
        )
      })
    )

    test(
      "settle: of two outcomes of one job, the one that still holds is accepted and the stale one is not",
      Effect.gen(function* () {
        const { claim, row, settle, storage, take } = yield* kit
        for (const staleFirst of [true, false]) {
          const { id, token } = yield* take()
          yield* settle({ id, token, to: "retry", delay: 0, failure: `"x"` })
          const [again] = yield* claim(1)
          assert(again !== undefined && again.id === id, "the job is claimed again")
          const stale: Outcome = { id, token, to: "fail", failure: `"late"` }
          const good: Outcome = { id, token: again.token, to: "complete", result: "1" }
          const answers = yield* storage.settle(staleFirst ? [stale, good] : [good, stale])
          assert.deepStrictEqual(answers, [!staleFirst, staleFirst])
          assert.strictEqual((yield* row(id)).state, "completed")
        }
      })
    )

    test(
      "settle: completing after a retry clears the failure",
      Effect.gen(function* () {
        const { claim, row, settle, take } = yield* kit
        const held = yield* take()
        yield* settle({ id: held.id, token: held.token, to: "retry", delay: 0, failure: `"x"` })
        const [again] = yield* claim(1)
        assert(again !== undefined)
        yield* settle({ id: again.id, token: again.token, to: "complete", result: `{"a":1}` })
        assert.deepInclude(yield* row(held.id), { failure: null, result: `{"a":1}`, attempt: 2 })
      })
    )

    test(
      "settle: a repeat is accepted, another outcome is not",
      Effect.gen(function* () {
        const { row, settle, stateOf, storage, take } = yield* kit
        for (const outcome of outcomes({ id: "", token: 0 })) {
          const held = yield* take()
          const own = { ...outcome, id: held.id, token: held.token }
          assert.isTrue(yield* settle(own))
          const after = yield* row(held.id)
          assert.isTrue(yield* settle(own), `repeat of ${label(outcome)}`)
          for (const other of outcomes(held)) {
            const waits = (to: Outcome["to"]) => to === "retry" || to === "snooze" || to === "release"
            const same = other.to === outcome.to || (waits(other.to) && (waits(outcome.to) || outcome.to === "cancel"))
            assert.strictEqual(yield* settle(other), same, `${label(other)} after ${label(outcome)}`)
          }
          assert.deepStrictEqual(yield* row(held.id), after)
          yield* storage.remove([held.id])
          assert.isFalse(yield* settle(own), `${label(outcome)} of a removed row`)
          assert.isUndefined(yield* stateOf(held.id))
        }
      })
    )

    test(
      "settle, renew, progress: a stale or made-up token changes nothing",
      Effect.gen(function* () {
        const { claim, row, settle, storage, sweepUntil, take } = yield* kit
        const stale = yield* take({}, 1)
        yield* sweepUntil(stale.id)
        yield* claim(1)
        const held = yield* row(stale.id)
        assert.isAbove(held.token, stale.token)
        for (const token of [stale.token, stale.token + 1, 0, held.token + 1]) {
          if (token === held.token) continue
          for (const outcome of outcomes({ id: held.id, token })) {
            assert.isFalse(yield* settle(outcome), `${label(outcome)} with token ${token}`)
          }
          assert.deepStrictEqual(yield* storage.renew([{ id: held.id, token }], 1), ["lost"])
          assert.isFalse(yield* storage.progress({ id: held.id, token }, 1, "stale"))
        }
        assert.deepStrictEqual(yield* row(held.id), held)
        assert.isFalse(yield* settle({ id: "no-such-id", token: 1, to: "cancel" }))
        assert.deepStrictEqual(yield* storage.settle([]), [])
      })
    )

    test(
      "settle: changes over a holder's head outdate the hold",
      Effect.gen(function* () {
        const { make, row, settle, storage, sweepUntil, take } = yield* kit
        const rescued = yield* take({}, 1)
        yield* sweepUntil(rescued.id)
        for (const outcome of outcomes(rescued)) assert.isFalse(yield* settle(outcome), `rescued: ${label(outcome)}`)
        yield* storage.remove([rescued.id])
        const done = yield* take()
        yield* settle({ id: done.id, token: done.token, to: "complete", result: null })
        yield* storage.rerun([done.id])
        for (const outcome of outcomes(done)) assert.isFalse(yield* settle(outcome), `rerun: ${label(outcome)}`)
        yield* storage.remove([done.id])
        const waiting = yield* take()
        yield* settle({ id: waiting.id, token: waiting.token, to: "retry", delay: 0, failure: "{}" })
        yield* storage.cancel([waiting.id])
        for (const outcome of outcomes(waiting)) assert.isFalse(yield* settle(outcome), `cancelled: ${label(outcome)}`)
        const pending = yield* make("pending")
        const { token } = yield* row(pending)
        yield* storage.cancel([pending])
        assert.isAbove((yield* row(pending)).token, token)
      })
    )

    test(
      "settle: a requested cancellation ends retry, snooze and release",
      Effect.gen(function* () {
        const { row, settle, storage, take } = yield* kit
        for (const outcome of outcomes({ id: "", token: 0 })) {
          const held = yield* take()
          assert.deepStrictEqual(yield* storage.cancel([held.id]), ["requested"])
          const marked = yield* row(held.id)
          assert.deepInclude(marked, { state: "running", cancelRequested: true, token: held.token })
          const own = { ...outcome, id: held.id, token: held.token }
          assert.isTrue(yield* settle(own))
          const waits = outcome.to === "retry" || outcome.to === "snooze" || outcome.to === "release"
          const after = yield* row(held.id)
          assert.strictEqual(after.state, waits ? "cancelled" : leadsTo(outcome))
          assert.isNotNull(after.finishedAt)
          assert.isTrue(yield* settle(own), "the repeat")
        }
      })
    )

    test(
      "unique keys: 50 inserts at once make one job",
      Effect.gen(function* () {
        const { insert, job, name, storage } = yield* kit
        const answers = (yield* Effect.forEach(
          Array.from({ length: 50 }, () => job({ uniqueKey: "k" })),
          (one) => insert(one),
          { concurrency: "unbounded" }
        )).flat()
        assert.strictEqual(answers.filter((answer) => answer.created).length, 1)
        const [holder] = yield* storage.list({ filter: { names: [name] }, limit: 10 })
        assert(holder !== undefined)
        assert.isTrue(answers.every((answer) => answer.id === holder.id))
        assert.strictEqual((yield* storage.list({ filter: { names: [name] }, limit: 10 })).length, 1)
      })
    )

    test(
      "unique keys: held in every unfinished state, free after each end and after removal",
      Effect.gen(function* () {
        const { insert, job, make, storage } = yield* kit
        for (const state of ["scheduled", "pending", "running"] as const) {
          const holder = yield* make(state, { uniqueKey: `u-${state}`, priority: 9 })
          const [answer] = yield* insert(job({ uniqueKey: `u-${state}`, due: { delay: hour } }))
          assert.deepStrictEqual(answer, { id: holder, answer: "duplicate", created: false })
          // out of the way of the next claim
          if (state === "pending") yield* storage.remove([holder])
        }
        for (const state of finishedStates) {
          const old = yield* make(state, { uniqueKey: `f-${state}`, priority: 9 })
          const fresh = job({ uniqueKey: `f-${state}`, due: { delay: hour } })
          assert.deepStrictEqual(yield* insert(fresh), [{ id: fresh.id, answer: "inserted", created: true }], state)
          assert.deepStrictEqual(yield* storage.rerun([old]), ["duplicate"])
          assert.deepStrictEqual(yield* storage.remove([fresh.id]), ["removed"])
          assert.deepStrictEqual(yield* storage.rerun([old]), ["rerun"])
          assert.strictEqual((yield* insert(job({ uniqueKey: `f-${state}` })))[0]?.answer, "duplicate")
          yield* storage.remove([old])
          assert.strictEqual((yield* insert(job({ uniqueKey: `f-${state}`, due: { delay: hour } })))[0]?.created, true)
        }
      })
    )

    test(
      "pause: a paused queue is not claimed, others are; resume",
      Effect.gen(function* () {
        const { claim, insert, job, queue, storage } = yield* kit
        const a = job()
        const b = job({ queue: `${queue}-2` })
        yield* insert(a, b)
        yield* storage.pauseQueue(queue)
        yield* storage.pauseQueue(queue)
        assert.strictEqual((yield* storage.pausedQueues).filter((one) => one === queue).length, 1)
        assert.deepStrictEqual(idsOf(yield* claim(10)), [b.id])
        assert.deepStrictEqual(yield* claim(10, { queues: [queue] }), [])
        yield* storage.resumeQueue(queue)
        yield* storage.resumeQueue(queue)
        assert.notInclude(yield* storage.pausedQueues, queue)
        assert.deepStrictEqual(idsOf(yield* claim(10)), [a.id])
        yield* storage.resumeQueue(`${queue}-never-paused`)
      })
    )

    test(
      "list: every member of the filter narrows, pages ascend",
      Effect.gen(function* () {
        const { insert, job, make, name, queue, row, storage } = yield* kit
        const pages = (filter: Filter) =>
          Effect.map(storage.list({ filter: { names: [name], ...filter }, limit: 100 }), idsOf)
        const tagged = job({ tags: ["t1", 't"2'], due: { delay: hour } })
        const elsewhere = job({ queue: `${queue}-2`, due: { delay: hour } })
        const foreign = job({ name: `${name}-2`, due: { delay: hour } })
        yield* insert(tagged, elsewhere, foreign)
        yield* Effect.sleep(20)
        const done = yield* make("completed")
        const all = [tagged.id, elsewhere.id, done]
        assert.deepStrictEqual(yield* pages({}), all)
        assert.deepStrictEqual(yield* pages({ states: ["completed"] }), [done])
        assert.deepStrictEqual(yield* pages({ states: ["completed", "scheduled"] }), all)
        assert.deepStrictEqual(yield* pages({ states: [] }), [])
        assert.deepStrictEqual(yield* pages({ queues: [`${queue}-2`] }), [elsewhere.id])
        assert.deepStrictEqual(yield* pages({ names: [`${name}-2`] }), [foreign.id])
        assert.deepStrictEqual(yield* pages({ names: [name, `${name}-2`], queues: [queue] }), [
          tagged.id,
          foreign.id,
          done
        ])
        assert.deepStrictEqual(yield* pages({ tag: "t1" }), [tagged.id])
        assert.deepStrictEqual(yield* pages({ tag: 't"2' }), [tagged.id])
        assert.deepStrictEqual(yield* pages({ tag: "t" }), [])
        const { enqueuedAt } = yield* row(done)
        assert.deepStrictEqual(yield* pages({ from: enqueuedAt }), [done])
        assert.deepStrictEqual(yield* pages({ until: enqueuedAt }), [tagged.id, elsewhere.id])
        assert.deepStrictEqual(yield* pages({ from: enqueuedAt, until: enqueuedAt }), [])
        assert.deepStrictEqual(idsOf(yield* storage.list({ filter: { names: [name] }, after: tagged.id, limit: 1 })), [
          elsewhere.id
        ])
        assert.deepStrictEqual(yield* storage.list({ filter: { names: [name] }, after: done, limit: 5 }), [])
      })
    )

    test(
      "list: the cursor is stable while rows move",
      Effect.gen(function* () {
        const { claim, insert, job, jobs, name, storage } = yield* kit
        const made = jobs(60)
        yield* storage.insert(made)
        const seen: Array<string> = []
        for (let after: string | undefined; ; ) {
          const page = yield* storage.list({ filter: { names: [name] }, after, limit: 7 })
          if (page.length === 0) break
          seen.push(...idsOf(page))
          after = page[page.length - 1]?.id
          const [held] = yield* claim(1)
          if (held !== undefined) yield* storage.settle([{ id: held.id, token: held.token, to: "fail", failure: "{}" }])
          if (after !== undefined) yield* storage.remove([after])
          if (seen.length < 50) yield* insert(job())
        }
        assert.strictEqual(new Set(seen).size, seen.length)
        assert.deepStrictEqual(
          seen.filter((id) => made.some((one) => one.id === id)),
          idsOf(made)
        )
      })
    )

    test(
      "counts: only combinations that have rows",
      Effect.gen(function* () {
        const { make, queue, storage } = yield* kit
        for (const state of [
          "completed",
          "completed",
          "failed",
          "cancelled",
          "running",
          "scheduled",
          "pending"
        ] as const) {
          yield* make(state)
        }
        const own = (yield* storage.counts).filter((count) => count.queue === queue)
        assert.sameDeepMembers(own.slice(), [
          { queue, state: "completed", count: 2 },
          ...(["failed", "cancelled", "running", "scheduled", "pending"] as const).map((state) => ({
            queue,
            state,
            count: 1
          }))
        ])
      })
    )

    test(
      "cancel: answers, also when repeated",
      Effect.gen(function* () {
        const { make, row, storage } = yield* kit
        const ids: Array<string> = []
        for (const state of ["completed", "failed", "cancelled", "running", "scheduled", "pending"] as const) {
          ids.push(yield* make(state))
        }
        const first = yield* storage.cancel([...ids, "no-such-id"])
        assert.deepStrictEqual(first, [
          "finished",
          "finished",
          "cancelled",
          "requested",
          "cancelled",
          "cancelled",
          "notFound"
        ])
        const rows = yield* Effect.forEach(ids, row)
        const again = yield* storage.cancel(ids)
        assert.deepStrictEqual(again, first.slice(0, 6))
        assert.deepStrictEqual(yield* Effect.forEach(ids, row), rows)
        assert.deepStrictEqual(yield* storage.cancel([]), [])
      })
    )

    test(
      "rerun: a new generation, once",
      Effect.gen(function* () {
        const { claim, make, row, storage } = yield* kit
        for (const state of finishedStates) {
          const id = yield* make(state, { maxAttempts: 6 })
          const before = yield* row(id)
          assert.deepStrictEqual(yield* storage.rerun([id, "no-such-id"]), ["rerun", "notFound"])
          const after = yield* row(id)
          assert.deepInclude(after, {
            state: "pending",
            generation: 2,
            token: before.token + 1,
            attempt: 0,
            crashes: 0,
            maxAttempts: 6,
            cancelRequested: false,
            result: null,
            failure: null,
            progress: null,
            progressMessage: null,
            startedAt: null,
            finishedAt: null,
            owner: null,
            leaseUntil: null
          })
          assert.isAtLeast(after.runAt, before.finishedAt ?? Number.POSITIVE_INFINITY)
          assert.deepStrictEqual(yield* storage.rerun([id]), ["unfinished"])
          assert.deepStrictEqual(yield* row(id), after)
          yield* claim(1)
          assert.deepInclude(yield* row(id), { attempt: 1, generation: 2, token: before.token + 2 })
        }
      })
    )

    test(
      "reschedule and remove: answers, also when repeated",
      Effect.gen(function* () {
        const { make, row, stateOf, storage } = yield* kit
        const done = yield* make("completed")
        const running = yield* make("running")
        const pending = yield* make("pending")
        const ids = [done, running, pending, "no-such-id"]
        const runAt = Date.now() + hour
        for (let repeat = 0; repeat < 2; repeat++) {
          assert.deepStrictEqual(yield* storage.reschedule(ids, { runAt }), [
            "finished",
            "running",
            "rescheduled",
            "notFound"
          ])
          assert.deepInclude(yield* row(pending), { runAt, state: "scheduled" })
        }
        assert.deepStrictEqual(yield* storage.remove(ids), ["removed", "running", "removed", "notFound"])
        assert.deepStrictEqual(yield* storage.remove(ids), ["notFound", "running", "notFound", "notFound"])
        assert.strictEqual(yield* stateOf(running), "running")
        assert.deepStrictEqual(yield* storage.remove([]), [])
      })
    )

    test(
      "renew, progress: held, cancelRequested, lost",
      Effect.gen(function* () {
        const { make, row, settle, storage, sweep, take } = yield* kit
        const held = yield* take({}, 500)
        const asked = yield* take()
        yield* storage.cancel([asked.id])
        const waiting = yield* make("scheduled")
        assert.deepStrictEqual(
          yield* storage.renew([held, asked, { id: waiting, token: 0 }, { id: "no-such-id", token: 1 }], hour),
          ["held", "cancelRequested", "lost", "lost"]
        )
        assert.isAbove((yield* row(held.id)).leaseUntil ?? 0, held.leaseUntil ?? 0)
        yield* Effect.sleep(600)
        yield* sweep()
        assert.strictEqual((yield* row(held.id)).state, "running")
        assert.isTrue(yield* storage.progress(held, 0.25, "é\"'\\"))
        assert.deepInclude(yield* row(held.id), { progress: 0.25, progressMessage: "é\"'\\" })
        assert.isTrue(yield* storage.progress(held, 1, null))
        assert.deepInclude(yield* row(held.id), { progress: 1, progressMessage: null })
        yield* settle({ id: held.id, token: held.token, to: "complete", result: null })
        assert.deepStrictEqual(yield* storage.renew([held], hour), ["lost"])
        assert.isFalse(yield* storage.progress(held, 0, null))
        assert.deepStrictEqual(yield* storage.renew([], hour), [])
      })
    )

    test(
      "sweep: rescues an expired lease, not before",
      Effect.gen(function* () {
        const { claim, row, stateOf, sweep, sweepUntil, take } = yield* kit
        const held = yield* take({}, 300)
        yield* sweep()
        const early = yield* row(held.id)
        if (early.state !== "running") assert.isAtLeast(Date.now(), held.leaseUntil ?? 0)
        const after = yield* sweepUntil(held.id)
        assert.deepInclude(after, {
          state: "pending",
          token: held.token + 1,
          crashes: 1,
          attempt: 1,
          runAt: held.runAt,
          owner: null,
          leaseUntil: null,
          finishedAt: null
        })
        yield* sweep()
        assert.deepStrictEqual(yield* row(held.id), after)
        yield* claim(1)
        assert.deepInclude(yield* row(held.id), { attempt: 2, token: held.token + 2, crashes: 1 })
        assert.strictEqual(yield* stateOf(held.id), "running")
      })
    )

    test(
      "sweep: the crash limit, the last attempt and a requested cancellation end the job",
      Effect.gen(function* () {
        const { claim, row, storage, sweepUntil, take } = yield* kit
        const poison = yield* take({}, 1)
        assert.strictEqual((yield* sweepUntil(poison.id, { crashLimit: 2 })).state, "pending")
        yield* claim(1, { lease: 1 })
        const ended = yield* sweepUntil(poison.id, { crashLimit: 2, crashFailure: `{"kind":"poison"}` })
        assert.deepInclude(ended, {
          state: "failed",
          crashes: 2,
          failure: `{"kind":"poison"}`,
          owner: null,
          leaseUntil: null
        })
        assert.isNotNull(ended.finishedAt)
        const last = yield* take({ maxAttempts: 1 }, 1)
        assert.deepInclude(yield* sweepUntil(last.id), {
          state: "failed",
          crashes: 1,
          token: last.token + 1,
          failure: `{"kind":"crash"}`
        })
        const asked = yield* take({ maxAttempts: 1 }, 1)
        yield* storage.cancel([asked.id])
        assert.deepInclude(yield* sweepUntil(asked.id), { state: "cancelled", failure: null, token: asked.token + 1 })
        assert.isNotNull((yield* row(asked.id)).finishedAt)
      })
    )

    test(
      "sweep: at most the limit in one call",
      Effect.gen(function* () {
        const { claim, jobs, name, storage, sweep } = yield* kit
        yield* storage.insert(jobs(9))
        yield* claim(9, { lease: 1 })
        yield* Effect.sleep(30)
        const running = Effect.map(
          storage.list({ filter: { names: [name], states: ["running"] }, limit: 100 }),
          (rows) => rows.length
        )
        const first = yield* sweep({ limit: 4 })
        assert.strictEqual(first.rescued + first.ended, 4)
        assert.isAtLeast(yield* running, 5)
        yield* until(Effect.zipRight(sweep({ limit: 4 }), running), (count) => count === 0)
      })
    )

    test(
      "retention and prune: only finished rows that are old enough, bounded by the limit",
      Effect.gen(function* () {
        const { make, name, stateOf, storage, sweep } = yield* kit
        const listed = (state: State) =>
          Effect.map(storage.list({ filter: { names: [name], states: [state] }, limit: 100 }), (rows) => rows.length)
        for (let at = 0; at < 5; at++) for (const state of finishedStates) yield* make(state)
        const running = yield* make("running")
        const pending = yield* make("pending")
        const scheduled = yield* make("scheduled")
        yield* Effect.sleep(20)
        yield* storage.prune(finishedStates, hour, 1000)
        yield* sweep({ retention: { completed: hour, failed: hour } })
        for (const state of finishedStates) assert.strictEqual(yield* listed(state), 5)
        assert.strictEqual(yield* storage.prune(["completed"], 1, 0), 0)
        assert.strictEqual(yield* storage.prune(["completed"], 1, 2), 2)
        yield* until(storage.prune(["completed"], 1, 1000), (removed) => removed === 0)
        assert.strictEqual(yield* listed("completed"), 0)
        assert.strictEqual(yield* listed("failed"), 5)
        const { removed } = yield* sweep({ limit: 3, retention: { failed: 1 } })
        assert.strictEqual(removed, 3)
        yield* until(sweep({ retention: { failed: 1 } }), (swept) => swept.removed === 0)
        assert.strictEqual(yield* listed("failed"), 0)
        assert.strictEqual(yield* listed("cancelled"), 5)
        yield* until(storage.prune(finishedStates, 1, 100), (count) => count === 0)
        assert.strictEqual(yield* listed("cancelled"), 0)
        assert.deepStrictEqual(
          [yield* stateOf(running), yield* stateOf(pending), yield* stateOf(scheduled)],
          ["running", "pending", "scheduled"]
        )
      })
    )

    test(
      "hostile text round-trips exactly",
      Effect.gen(function* () {
        const { insert, job, name, queue, row, storage } = yield* kit
        const texts = [
          "'; DROP TABLE jobs; --",
          '"double" `back` $1 ? :x %s $x',
          "back\\slash \\u0000 \\n",
          "emoji 👩‍👩‍👧 𝔘",
          "caf\u00e9",
          "cafe\u0301",
          "__proto__",
          "constructor",
          "$where",
          " spaces ",
          "UPPER",
          "upper",
          "{}[],",
          "tab\tnewline\n"
        ]
        const made = texts.map((text) =>
          job({
            name: `${name}${text}`,
            queue: `${queue}${text}`,
            uniqueKey: text,
            tags: [text, "plain"],
            payload: JSON.stringify({ text, nested: { ["__proto__"]: text, $where: "1" }, list: [text] })
          })
        )
        assert.isTrue((yield* storage.insert(made)).every((answer) => answer.created))
        for (const [at, one] of made.entries()) {
          const found = yield* row(one.id)
          const { due: _due, ...given } = one
          assert.deepInclude(found, given)
          const text = texts[at] ?? ""
          assert.deepStrictEqual(
            idsOf(yield* storage.list({ filter: { names: [one.name], queues: [one.queue], tag: text }, limit: 10 })),
            [one.id]
          )
          const [held, ...rest] = yield* storage.claim({
            names: [one.name],
            queues: [one.queue],
            limit: 10,
            owner: text,
            lease: hour
          })
          assert(held !== undefined && rest.length === 0)
          assert.strictEqual((yield* row(held.id)).owner, text)
          yield* storage.settle([{ id: held.id, token: held.token, to: "complete", result: one.payload }])
          assert.strictEqual((yield* row(one.id)).result, one.payload)
          yield* storage.pauseQueue(one.queue)
          assert.include(yield* storage.pausedQueues, one.queue)
          yield* storage.resumeQueue(one.queue)
        }
        // names compare by their bytes: each text is a key of its own under one name
        const keyed = texts.map((text) => job({ uniqueKey: text }))
        assert.isTrue((yield* insert(...keyed)).every((answer) => answer.created))
        const payloads = [
          JSON.stringify({ nul: "\u0000", lone: "\ud800", quote: "\"'`" }),
          JSON.stringify("x".repeat(256 * 1024 - 2)),
          JSON.stringify('é"\\'.repeat(40_000)),
          `{ "spaced" : 1.0, "spaced" : 1e400, "big": 12345678901234567890 }`,
          "null"
        ]
        for (const payload of payloads) {
          const one = job({ payload })
          yield* insert(one)
          assert.strictEqual((yield* row(one.id)).payload === payload, true, payload.slice(0, 40))
        }
      })
    )

    test(
      "insert: numbers that do not fit are refused, with the whole batch",
      Effect.gen(function* () {
        const { insert, job, stateOf } = yield* kit
        const good = job()
        const odd: ReadonlyArray<Partial<NewJob>> = [
          { priority: Number.NaN },
          { priority: 1.5 },
          { priority: 2 ** 31 },
          { priority: Number.NEGATIVE_INFINITY },
          { maxAttempts: Number.NaN },
          { maxAttempts: 0 },
          { due: { delay: Number.NaN } },
          { due: { runAt: Number.POSITIVE_INFINITY } }
        ]
        for (const over of odd) {
          const error = yield* Effect.flip(insert(good, job(over)))
          assert.strictEqual(error._tag, "StorageError")
          assert.isFalse(error.isTransient)
        }
        assert.isUndefined(yield* stateOf(good.id))
      })
    )

    test(
      "settle: token 0 was never given to anyone",
      Effect.gen(function* () {
        const { make, row, settle } = yield* kit
        for (const state of ["pending", "scheduled"] as const) {
          const id = yield* make(state)
          const before = yield* row(id)
          for (const outcome of outcomes({ id, token: 0 })) {
            assert.isFalse(yield* settle(outcome), `${label(outcome)} of a ${state} row`)
          }
          assert.deepStrictEqual(yield* row(id), before)
        }
      })
    )

    test(
      "sweep: says when there is more, where wake-ups are exact",
      Effect.gen(function* () {
        const { make, storage, sweep, take } = yield* kit
        if (storage.capabilities.wakeups !== "exact") return
        yield* make("completed")
        yield* take({}, 500)
        const kept = yield* sweep({ retention: { completed: hour } })
        assert(kept.nextIn !== undefined && kept.nextIn > 0 && kept.nextIn <= 500, `${kept.nextIn}`)
        yield* Effect.sleep(kept.nextIn + 20)
        assert.strictEqual((yield* sweep()).rescued, 1)
        const after = yield* sweep({ retention: { completed: hour } })
        assert(after.nextIn !== undefined && after.nextIn > 0 && after.nextIn <= hour, `${after.nextIn}`)
      })
    )

    test(
      "wakeups: due work is announced where the storage says so",
      Effect.gen(function* () {
        const { insert, job, storage } = yield* kit
        if (storage.capabilities.wakeups === "none") return
        const heard = yield* listening(storage, insert(job()))
        yield* insert(job())
        yield* heard("jobs")
      }).pipe(Effect.scoped)
    )

    test(
      "wakeups: each change is told, where they are exact",
      Effect.gen(function* () {
        const { claim, insert, job, make, queue, settle, storage, sweepUntil, take } = yield* kit
        if (storage.capabilities.wakeups !== "exact") return
        const heard = yield* listening(storage, insert(job({ due: { delay: hour } })))
        yield* insert(job({ due: { delay: hour } }))
        yield* heard("jobs")
        for (const outcome of outcomes({ id: "", token: 0 })) {
          if (outcome.to === "complete" || outcome.to === "fail" || outcome.to === "cancel") continue
          const held = yield* take({ priority: 1 })
          yield* heard("jobs")
          yield* settle({ ...outcome, id: held.id, token: held.token })
          yield* heard("jobs")
          yield* storage.remove([held.id])
        }
        const done = yield* make("completed")
        yield* heard("jobs")
        yield* storage.rerun([done])
        yield* heard("jobs")
        yield* storage.reschedule([done], { delay: hour })
        yield* heard("jobs")
        yield* storage.pauseQueue(queue)
        yield* storage.resumeQueue(queue)
        yield* heard("jobs")
        yield* insert(job())
        yield* heard("jobs")
        const [held] = yield* claim(1, { lease: 1 })
        yield* sweepUntil(held?.id ?? "")
        yield* heard("jobs")
      }).pipe(Effect.scoped)
    )

    scheduleContract(test)
  })
}
