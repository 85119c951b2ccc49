/** What both SQL dialects must do beyond the contract: transactions, and the paths the contract does not reach. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import { JobStorage, Transactional } from "../../src/JobStorage.js"
import { job } from "./jobs.js"

export const sqlSuite = (label: string, layer: Layer.Layer<JobStorage | Transactional, unknown>) =>
  describe(`${label}: SQL`, () => {
    it.live("commits and rolls back with the caller", () =>
      Effect.gen(function* () {
        const storage = yield* JobStorage
        const { inTransaction, detached, withTransaction } = yield* Transactional
        const kept = job()
        const lost = job()
        const inner = job()
        assert.isFalse(yield* inTransaction)
        yield* withTransaction(
          Effect.gen(function* () {
            assert.isTrue(yield* inTransaction)
            assert.isFalse(yield* detached(inTransaction))
            yield* storage.insert([kept])
            yield* Effect.exit(withTransaction(Effect.zipRight(storage.insert([inner]), Effect.fail("no"))))
          })
        )
        const exit = yield* Effect.exit(
          withTransaction(Effect.zipRight(storage.insert([lost]), Effect.fail("rolled back")))
        )
        assert.deepStrictEqual(exit, Exit.fail("rolled back"))
        const rows = yield* storage.get([kept.id, lost.id, inner.id])
        assert.deepStrictEqual(
          rows.map((row) => row.id),
          [kept.id]
        )
        const defect = yield* Effect.exit(withTransaction(Effect.die("boom")))
        assert.deepStrictEqual(defect, Exit.die("boom"))
      }).pipe(Effect.provide(layer))
    )

    it.live("life of a job", () =>
      Effect.gen(function* () {
        const storage = yield* JobStorage
        const name = `life-${Math.random()}`
        const a = job({ name, uniqueKey: "k", payload: `{"x":"\\u0000ü\\ud800"}`, tags: ['t"1', "ü"] })
        const b = job({ name, uniqueKey: "k" })
        const c = job({ name, priority: 5 })
        const late = job({ name, due: { delay: 60_000 } })
        const answers = yield* storage.insert([a, b, c, late, a, job({ id: a.id, name: "other" })])
        assert.deepStrictEqual(answers, [
          { id: a.id, answer: "inserted", created: true },
          { id: a.id, answer: "duplicate", created: false },
          { id: c.id, answer: "inserted", created: true },
          { id: late.id, answer: "inserted", created: true },
          { id: a.id, answer: "inserted", created: false },
          { id: a.id, answer: "conflict", created: false }
        ])
        assert.deepStrictEqual(
          (yield* storage.list({ filter: { names: [name], tag: 't"1' }, limit: 10 })).map((row) => row.id),
          [a.id]
        )
        const claim = (limit: number) => storage.claim({ names: [name], limit, owner: "w", lease: 10_000 })
        const [first, second, ...none] = yield* claim(10)
        assert(first !== undefined && second !== undefined && none.length === 0)
        assert.deepStrictEqual([first.id, second.id], [c.id, a.id])
        assert.strictEqual(second.payload, a.payload)
        assert.deepStrictEqual((yield* storage.get([a.id]))[0]?.tags, a.tags)
        assert.strictEqual(second.attempt, 1)
        assert.isTrue(yield* storage.progress(first, 0.5, "half"))
        assert.deepStrictEqual(yield* storage.renew([first, { id: second.id, token: 99 }], 10_000), ["held", "lost"])
        assert.deepStrictEqual(yield* storage.cancel([first.id, late.id, "none"]), [
          "requested",
          "cancelled",
          "notFound"
        ])
        assert.deepStrictEqual(yield* storage.renew([first], 10_000), ["cancelRequested"])
        const outcomes = [
          { id: first.id, token: first.token, to: "retry", delay: 0, failure: "{}" },
          { id: second.id, token: second.token, to: "snooze", delay: 60_000 }
        ] as const
        assert.deepStrictEqual(yield* storage.settle(outcomes), [true, true])
        assert.deepStrictEqual(yield* storage.settle(outcomes), [true, true])
        assert.deepStrictEqual(
          yield* storage.settle([{ id: first.id, token: first.token, to: "complete", result: null }]),
          [false]
        )
        assert.deepStrictEqual((yield* storage.get([first.id]))[0]?.state, "cancelled")
        assert.deepStrictEqual((yield* storage.get([second.id]))[0]?.attempt, 0)
        assert.isAbove((yield* storage.promote(10)).nextIn ?? 0, 1000)
        assert.deepStrictEqual(yield* storage.reschedule([a.id, first.id], { delay: 0 }), ["rescheduled", "finished"])
        assert.deepStrictEqual(yield* storage.rerun([first.id, a.id]), ["rerun", "unfinished"])
        const [again] = yield* storage.claim({ names: [name], limit: 1, owner: "w", lease: 0 })
        assert(again !== undefined)
        const swept = yield* storage.sweep({ limit: 10, crashLimit: 3, crashFailure: "{}", retention: {} })
        assert.deepStrictEqual(swept, { rescued: 1, ended: 0, removed: 0 })
        assert.deepStrictEqual(
          yield* storage.settle([{ id: again.id, token: again.token, to: "complete", result: null }]),
          [false]
        )
        yield* storage.pauseQueue("default")
        assert.deepStrictEqual(yield* storage.pausedQueues, ["default"])
        assert.deepStrictEqual(yield* claim(10), [])
        yield* storage.resumeQueue("default")
        const rest = yield* claim(10)
        assert.strictEqual(rest.length, 2)
        yield* storage.settle(rest.map((row) => ({ id: row.id, token: row.token, to: "complete", result: "1" })))
        assert.deepStrictEqual(yield* storage.insert([b]), [{ id: b.id, answer: "inserted", created: true }])
        assert.deepStrictEqual(yield* storage.rerun([a.id]), ["duplicate"])
        assert.isAtLeast(yield* storage.prune(["completed"], 0, 10), 2)
        assert.deepStrictEqual(yield* storage.remove([b.id, "none"]), ["removed", "notFound"])
      }).pipe(Effect.provide(layer))
    )

    it.live("inserts more than one chunk, all or nothing", () =>
      Effect.gen(function* () {
        const storage = yield* JobStorage
        const name = `bulk-${Math.random()}`
        const jobs = Array.from({ length: 2500 }, () => job({ name }))
        assert.isTrue((yield* storage.insert(jobs)).every((answer) => answer.created))
        const claimed = yield* storage.claim({ names: [name], limit: 2000, owner: "w", lease: 10_000 })
        assert.strictEqual(claimed.length, 2000)
        const broken = [...Array.from({ length: 1500 }, () => job({ name })), job({ name, priority: 2 ** 40 })]
        const bad = broken.map((item, at) => (at === 1500 ? { ...item, maxAttempts: Number.NaN } : item))
        const exit = yield* Effect.exit(storage.insert(bad))
        assert.isTrue(Exit.isFailure(exit))
        assert.deepStrictEqual(yield* storage.get([broken[0]?.id ?? ""]), [])
      }).pipe(Effect.provide(layer))
    )

    it.live("a claim takes no longer for what waits for other workers", () =>
      Effect.gen(function* () {
        const storage = yield* JobStorage
        const name = `mine-${Math.random()}`
        const typical = Effect.gen(function* () {
          yield* storage.insert(Array.from({ length: 33 }, () => job({ name })))
          const claim = storage.claim({ names: [name, "none"], limit: 3, owner: "w", lease: 10_000 })
          const took = yield* Effect.replicateEffect(Effect.timed(claim), 11)
          assert.isTrue(took.every(([, rows]) => rows.length === 3))
          return took.map(([duration]) => Duration.toMillis(duration)).sort((a, b) => a - b)[5] ?? Number.NaN
        })
        const alone = yield* typical
        for (let n = 0; n < 5; n++) {
          yield* storage.insert(Array.from({ length: 10_000 }, () => job({ name: "another", priority: 1 })))
        }
        const beside = yield* typical
        // to walk over them takes tens of milliseconds
        assert.isBelow(beside, 5 * alone + 10)
      }).pipe(Effect.provide(layer))
    )

    it.live("claimers that come at once each find what there is enough of", () =>
      Effect.gen(function* () {
        const storage = yield* JobStorage
        for (const { each, limit } of [
          { each: 1, limit: 1 },
          { each: 4, limit: 10 }
        ]) {
          const names = Array.from({ length: 20 }, (_, n) => `rivals-${limit}-${n}`)
          yield* storage.insert(names.flatMap((name) => Array.from({ length: each }, () => job({ name }))))
          const taken = yield* Effect.forEach(
            Array.from({ length: 8 }),
            (_, n) => storage.claim({ names, limit, owner: `w${n}`, lease: 10_000 }),
            { concurrency: "unbounded" }
          )
          assert.deepStrictEqual(
            taken.map((rows) => rows.length),
            taken.map(() => limit)
          )
          assert.strictEqual(new Set(taken.flat().map((row) => row.id)).size, 8 * limit)
        }
      }).pipe(Effect.provide(layer))
    )
  })
