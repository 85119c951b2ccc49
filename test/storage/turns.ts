/** What a storage with wake-ups between processes must do when many idle workers hear of one job. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Layer, Queue, Stream } from "effect"
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
      "a job that is due later, but sooner than a worker knows of, is told to all",
      () =>
        Effect.gen(function* () {
          const layer = fresh()
          const producer = yield* storage(layer)
          const heard = yield* Queue.unbounded<number>()
          const polls: Array<Effect.Effect<unknown, unknown>> = []
          for (let at = 0; at < 2; at++) {
            const own = yield* storage(layer)
            polls.push(own.promote(10))
            yield* Effect.forkScoped(
              Stream.runForEach(own.wakeups, (wakeup) =>
                wakeup === "jobs" ? Effect.zipRight(own.promote(10), Queue.offer(heard, at)) : Effect.void
              )
            )
          }
          yield* Effect.sleep(acquainted)
          const now = yield* Clock.currentTimeMillis
          const scheduled = (runAt: number) =>
            Effect.gen(function* () {
              const made = job({ due: { runAt } })
              yield* Queue.takeAll(heard)
              yield* producer.insert([made])
              assert.deepStrictEqual(new Set(yield* Queue.takeN(heard, 2)), new Set([0, 1]))
              return made.id
            })
          const far = yield* scheduled(now + 60_000)
          const near = yield* scheduled(now + 30_000)
          // nobody is told of it, but the workers find out, and so forget when the job was due
          yield* producer.cancel([far, near])
          yield* Effect.all(polls)
          yield* scheduled(now + 30_000)
        }).pipe(Effect.timeout("15 seconds")),
      20_000
    )
  })
