import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { NewJob } from "../../src/JobStorage.js"
import * as InsertAtOnce from "../../src/storage/sql/insertAtOnce.js"
import type { Outcome } from "../../src/storage/sql/sqliteDriver.js"
import { job } from "./jobs.js"

/** A driver that answers so, with what it and the long way were asked to write. */
const over = (outcome: Outcome, groupCommit = true) => {
  const commits: Array<number> = []
  const long: Array<ReadonlyArray<NewJob>> = []
  let told = 0
  const insert = InsertAtOnce.make({
    groupCommit,
    writeAll: (writes) => {
      commits.push(writes.length)
      return outcome
    },
    writesOf: (jobs) => [{ text: "many", values: [], rows: jobs.length }],
    tell: () => {
      told++
    },
    insert: (jobs) =>
      Effect.sync(() => {
        long.push(jobs)
        return jobs.map(({ id }) => ({ id, answer: "inserted", created: false }))
      })
  })
  return { commits, insert, long, told: () => told }
}

const atOneTime = <A, E>(count: number, effect: Effect.Effect<A, E>) =>
  Effect.replicateEffect(effect, count, { concurrency: "unbounded" })

describe("inserts at once", () => {
  it.live("those under way share each commit, however long it goes on", () =>
    Effect.gen(function* () {
      const { commits, insert, long, told } = over("written")
      // a fiber's own queue gives way to timers after some 2,000 turns: it must not go on alone then
      const lane = Effect.replicateEffect(
        Effect.suspend(() => insert([job()])),
        3_000,
        { discard: true }
      )
      yield* atOneTime(10, lane)
      assert.deepStrictEqual(
        commits,
        Array.from({ length: 3_000 }, () => 10)
      )
      assert.strictEqual(told(), 3_000)
      assert.deepStrictEqual(long, [])
    })
  )

  it.live("at most a thousand in one commit", () =>
    Effect.gen(function* () {
      const { commits, insert } = over("written")
      yield* atOneTime(
        2_500,
        Effect.suspend(() => insert([job()]))
      )
      assert.deepStrictEqual(commits, [1_000, 1_000, 500])
    })
  )

  it.live("each by itself where commits are not shared, and where it has a key", () =>
    Effect.gen(function* () {
      const single = over("written", false)
      yield* atOneTime(
        3,
        Effect.suspend(() => single.insert([job()]))
      )
      const keyed = over("written")
      yield* atOneTime(
        3,
        Effect.suspend(() => keyed.insert([job({ uniqueKey: "key" })]))
      )
      assert.deepStrictEqual([...single.commits, ...keyed.commits], [1, 1, 1, 1, 1, 1])
    })
  )

  it.live("what is not written goes the long way, each by itself, and nobody is told", () =>
    Effect.gen(function* () {
      for (const outcome of ["refused", "locked"] as const) {
        const { commits, insert, long, told } = over(outcome)
        const many = [job(), job()]
        const answers = yield* Effect.all([insert([job()]), insert([job()]), insert(many)], {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual([...commits].sort(), [1, 2])
        assert.deepStrictEqual(long.map(({ length }) => length).sort(), [1, 1, 2])
        assert.isTrue(answers.flat().every(({ created }) => !created))
        assert.strictEqual(told(), 0)
      }
    })
  )

  it.live("the process has its turn between a try that met a lock and the next", () =>
    Effect.gen(function* () {
      let turns = 0
      yield* Effect.sync(() => setImmediate(() => turns++))
      const { insert } = over("locked", false)
      yield* insert([job()])
      assert.strictEqual(turns, 1)
    })
  )

  it.live("what no storage writes, and keys of many, are left to the long way", () =>
    Effect.gen(function* () {
      const { commits, insert, long } = over("written")
      yield* insert([])
      yield* insert([job({ priority: 0.5 })])
      yield* insert([job(), job({ uniqueKey: "key" })])
      assert.deepStrictEqual(commits, [])
      assert.lengthOf(long, 3)
    })
  )
})
