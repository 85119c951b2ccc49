/** What a storage with wake-ups between processes must do when many idle workers hear of one job. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Queue, Stream } from "effect"
import { JobStorage } from "../../src/JobStorage.js"
import { job } from "./jobs.js"

const listeners = 8
/** By then each has told the others that it is there. */
const acquainted = "6 seconds"
/** By then all have looked who do. */
const settled = "400 millis"

export const turnsSuite = (label: string, fresh: () => Layer.Layer<JobStorage, unknown>) =>
  describe(`${label}: turns of idle workers`, () => {
    const storage = (layer: Layer.Layer<JobStorage, unknown>) =>
      Effect.flatMap(Layer.build(Layer.fresh(layer)), (context) => Effect.provide(JobStorage, context))

    it.scopedLive(
      "few of those that hear of a job ask for it, and one that goes first but is busy is not waited for",
      () =>
        Effect.gen(function* () {
          const layer = fresh()
          const producer = yield* storage(layer)
          const taken = yield* Queue.unbounded<number>()
          const busy = new Set<number>()
          let claims = 0
          for (let at = 0; at < listeners; at++) {
            const own = yield* storage(layer)
            const ask = Effect.suspend(() => {
              if (busy.has(at)) return Effect.void
              claims++
              return Effect.flatMap(own.claim({ names: ["mail"], limit: 10, owner: `w${at}`, lease: 60_000 }), (rows) =>
                Effect.forEach(rows, () => Queue.offer(taken, at))
              )
            })
            yield* Effect.forkScoped(
              Stream.runForEach(own.wakeups, (wakeup) => (wakeup === "jobs" ? ask : Effect.void))
            )
          }
          yield* Effect.sleep(acquainted)
          claims = 0
          const rounds = 5
          for (let round = 0; round < rounds; round++) {
            yield* producer.insert([job()])
            yield* Queue.take(taken)
            yield* Effect.sleep(settled)
          }
          assert.isAtMost(claims / rounds, 3)
          assert.strictEqual(yield* Queue.size(taken), 0)

          yield* producer.insert([job()])
          const first = yield* Queue.take(taken)
          busy.add(first)
          yield* producer.insert([job()])
          const [took, other] = yield* Effect.timed(Queue.take(taken))
          assert.notStrictEqual(other, first)
          assert.isBelow(Duration.toMillis(took), 1_000)
        }).pipe(Effect.timeout("25 seconds")),
      30_000
    )

    it.scopedLive(
      "a job that is due later, but before all others, is told to all",
      () =>
        Effect.gen(function* () {
          const layer = fresh()
          const producer = yield* storage(layer)
          const heard = yield* Queue.unbounded<number>()
          for (let at = 0; at < 2; at++) {
            const own = yield* storage(layer)
            yield* Effect.forkScoped(
              Stream.runForEach(own.wakeups, (wakeup) => (wakeup === "jobs" ? Queue.offer(heard, at) : Effect.void))
            )
          }
          yield* Effect.sleep(acquainted)
          for (const delay of [60_000, 30_000]) {
            yield* Queue.takeAll(heard)
            yield* producer.insert([job({ due: { delay } })])
            const both = yield* Queue.takeN(heard, 2)
            assert.deepStrictEqual(new Set(both), new Set([0, 1]))
          }
        }).pipe(Effect.timeout("15 seconds")),
      20_000
    )
  })
