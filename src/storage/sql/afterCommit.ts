/** Hints that wait for the commit: a worker that looks before it finds nothing, and would not look again soon. */
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as GlobalValue from "effect/GlobalValue"
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

/** Nothing tells when a transaction that another opened commits, so the hint is repeated for as long as most take. */
const pauses = [20, 100, 400, 1_500]

const repeat = (hint: () => void) =>
  Effect.forEach(pauses, (pause) => Effect.zipRight(Effect.sleep(pause), Effect.sync(hint)), { discard: true }).pipe(
    Effect.withClock(liveClock),
    Effect.interruptible,
    Effect.forkDaemon
  )

export const tell = (hint: () => void, inTransaction: boolean): Effect.Effect<void> =>
  Effect.flatMap(FiberRef.get(current), (hints) => {
    if (!inTransaction) return Effect.sync(hint)
    return hints === undefined ? repeat(hint) : Effect.sync(() => hints.push(hint))
  })
