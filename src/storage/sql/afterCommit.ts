/** Hints that wait for the commit: a worker that looks before it finds nothing, and would not look again soon. */
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as GlobalValue from "effect/GlobalValue"
import type { Wakeup } from "../../JobStorage.js"
import * as FollowUp from "./followUp.js"

type Hints = Array<() => void>

/** What is to be told when the outermost transaction of ours commits. */
const current = GlobalValue.globalValue("dbjobq/afterCommit", () => FiberRef.unsafeMake<Hints | undefined>(undefined))

/** For what is begun inside a transaction and goes on without it. */
export const outside: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = Effect.locally(
  current,
  undefined
)

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
const pauses = [20, 100, 400, 1_500].map((millis) => Effect.sleep(millis))

/** One follow-up for all such transactions. */
const repeated = (hint: () => void): Effect.Effect<void> => {
  const { poke, run } = FollowUp.make(pauses, Effect.sync(hint))
  return Effect.suspend(() => (poke() ? Effect.forkDaemon(Effect.interruptible(run)) : Effect.void))
}

/** Tells at once, or when the transaction that is open has committed. */
export const make = (tell: Tell): ((wakeup: Wakeup, inTransaction: boolean) => Effect.Effect<void>) => {
  const repeat = { jobs: repeated(() => tell("jobs")), schedules: repeated(() => tell("schedules")) }
  return (wakeup, inTransaction) =>
    Effect.flatMap(FiberRef.get(current), (hints) => {
      if (!inTransaction) return Effect.sync(() => tell(wakeup))
      return hints === undefined ? repeat[wakeup] : Effect.sync(() => hints.push(() => tell(wakeup)))
    })
}
