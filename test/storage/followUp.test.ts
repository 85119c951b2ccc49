import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import * as FollowUp from "../../src/storage/sql/followUp.js"

describe("looking again after a sign", () => {
  it.live("a sign that comes during the last look is followed too", () =>
    Effect.gen(function* () {
      const last = yield* Deferred.make<void>()
      const signalled = yield* Deferred.make<void>()
      let looks = 0
      const look = Effect.suspend(() => {
        looks++
        return looks === 2 ? Effect.zipRight(Deferred.succeed(last, undefined), Deferred.await(signalled)) : Effect.void
      })
      const pause = Effect.sleep("1 millis")
      const { poke, run } = FollowUp.make([pause, pause], look)
      assert.isTrue(poke())
      const fiber = yield* Effect.fork(run)
      yield* Deferred.await(last)
      assert.isFalse(poke())
      yield* Deferred.succeed(signalled, undefined)
      yield* Fiber.join(fiber)
      assert.strictEqual(looks, 4)
      // it is over: the next sign begins anew
      assert.isTrue(poke())
    })
  )
})
