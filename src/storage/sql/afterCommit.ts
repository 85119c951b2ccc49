/** Hints that wait for the commit: a worker that looks before it finds nothing, and would not look again soon. */
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as GlobalValue from "effect/GlobalValue"
import type { Wakeup } from "../../JobStorage.js"
import { liveClock } from "./liveClock.js"

type Hints = Array<() => void>

/** What is to be told when the outermost transaction of ours commits. */
const current = GlobalValue.globalValue("dbjobq/afterCommit", () => FiberRef.unsafeMake<Hints | undefined>(undefined))

/** Around a transaction. */
export const collect = <A, E, R>(transaction: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(FiberRef.get(current), (outer) => {
    if (outer !== undefined) return transaction
    const hints: Hints = []
    return Effect.tap(Effect.locally(transaction, current, hints), () =>
      Effect.sync(() => {
        for (const hint of hints) hint()
      })
    )
  })

type Tell = (wakeup: Wakeup) => void

/** Nothing tells when a transaction that another opened commits, so the hint is repeated for as long as most take. */
const pauses = [20, 100, 400, 1_500]

/** One for all transactions: what comes while it repeats makes it begin anew. */
const repeater = (tell: Tell): ((wakeup: Wakeup) => Effect.Effect<void>) => {
  const anew = Effect.unsafeMakeLatch(false)
  const wakeups = new Set<Wakeup>()
  let round = 0
  const turn = (pause: number) =>
    Effect.map(Effect.raceFirst(Effect.as(Effect.sleep(pause), true), Effect.as(anew.await, false)), (slept) => {
      anew.unsafeClose()
      round = slept ? round + 1 : 0
      if (slept) for (const wakeup of wakeups) tell(wakeup)
    })
  const repeat: Effect.Effect<void> = Effect.suspend(() => {
    const pause = pauses[round]
    if (pause !== undefined) return Effect.zipRight(turn(pause), repeat)
    wakeups.clear()
    round = 0
    return Effect.void
  })
  return (wakeup) =>
    Effect.suspend(() => {
      const idle = wakeups.size === 0
      wakeups.add(wakeup)
      if (idle) return Effect.forkDaemon(Effect.interruptible(Effect.withClock(repeat, liveClock)))
      // the shortest pause is not cut, or a busy producer would never let it end
      if (round > 0) anew.unsafeOpen()
      return Effect.void
    })
}

/** Tells at once, or when the transaction that is open has committed. */
export const make = (tell: Tell): ((wakeup: Wakeup, inTransaction: boolean) => Effect.Effect<void>) => {
  const repeat = repeater(tell)
  return (wakeup, inTransaction) =>
    Effect.flatMap(FiberRef.get(current), (hints) => {
      if (!inTransaction) return Effect.sync(() => tell(wakeup))
      return hints === undefined ? repeat(wakeup) : Effect.sync(() => hints.push(() => tell(wakeup)))
    })
}
