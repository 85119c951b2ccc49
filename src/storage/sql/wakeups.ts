import type { SqlError } from "@effect/sql/SqlError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { StorageError } from "../../JobError.js"
import type { Wakeup } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { describe } from "./isTransient.js"
import * as Hear from "../../internal/hear.js"
import { liveClock } from "../../internal/liveClock.js"
import * as Patience from "../../internal/patience.js"
import * as Turns from "../../internal/turns.js"
import { detached } from "./ownership.js"

/** Hears NOTIFY until it fails; what it took is given up when its scope closes. Only drivers with LISTEN have it. */
export type Listen = (channel: string, heard: (payload: string) => void) => Effect.Effect<void, SqlError, Scope.Scope>

const interval = 5_000
const patience = 3_000
const maxPause = 30_000

class NoEcho {
  readonly message = "no echo on the notification channel"
}

const sleep = (millis: number) => Effect.withClock(Effect.sleep(millis), liveClock)

/** The driver neither fails nor recovers when its backend dies, so a probe must come back now and then. */
const session = (
  db: Db,
  channel: string,
  listen: Listen,
  tell: (wakeup: Wakeup) => void,
  turns: Turns.Turns,
  onConnected: Effect.Effect<void>
): Effect.Effect<void, SqlError | NoEcho, Scope.Scope> =>
  Effect.flatMap(Random.nextInt, (random) => {
    const probe = `?${random}`
    let echoed = false
    let connected = false
    const others = Turns.rivals(interval)
    const jobs = turns.listener(others, () => tell("jobs"))
    const heard = (payload: string) => {
      if (payload === "jobs") return jobs.heard()
      if (payload === "schedules") return tell(payload)
      if (payload !== probe) return payload.startsWith("?") ? others.seen(payload) : undefined
      echoed = true
      if (connected) return
      connected = true
      // what was sent while nobody listened is lost: one hint of each kind makes the worker look
      tell("jobs")
      tell("schedules")
    }
    const ask = Patience.within(
      detached(db.sql`SELECT pg_notify(${channel}, ${probe})`),
      patience,
      Effect.suspend(() => Effect.fail(new NoEcho()))
    )
    const check = Effect.gen(function* () {
      echoed = false
      const until = liveClock.unsafeCurrentTimeMillis() + patience
      let asked = 0
      while (!echoed) {
        if (liveClock.unsafeCurrentTimeMillis() > until) return yield* Effect.fail(new NoEcho())
        // the first probe may be sent before LISTEN is in force
        if (asked++ % 20 === 0) yield* ask
        yield* sleep(25)
      }
      yield* onConnected
      yield* sleep(interval)
    })
    return Effect.raceFirst(listen(channel, heard), Effect.raceFirst(Effect.forever(check), jobs.run))
  })

export const wakeups = (
  db: Db,
  listen: Listen | undefined,
  turns: Turns.Turns
): Stream.Stream<Wakeup, StorageError> => {
  const channel = db.channel
  if (listen === undefined || channel === undefined) return Stream.empty
  return Hear.stream((heard) => {
    const warned = new Set<string>()
    let failures = 0
    const warn = (cause: Cause.Cause<SqlError | NoEcho>) => {
      const error = Cause.squash(cause)
      const reason = error instanceof NoEcho ? error.message : describe(error)
      if (warned.has(reason)) return Effect.void
      warned.add(reason)
      return Effect.logWarning(`dbjobq: wake-ups are interrupted (${reason}); workers poll until they are back`)
    }
    const pause = Effect.flatMap(Random.next, (unit) =>
      sleep(Math.min(maxPause, 500 * 2 ** Math.min(failures++, 10)) * (0.5 + unit))
    )
    const connected = Effect.suspend(() => {
      failures = 0
      if (warned.size === 0) return Effect.void
      warned.clear()
      return Effect.logInfo("dbjobq: wake-ups are back")
    })
    return session(db, channel, listen, heard, turns, connected).pipe(
      Effect.scoped,
      Effect.zipRight(Effect.fail(new NoEcho())),
      Effect.catchAllCause((cause) => Effect.zipRight(warn(cause), pause)),
      Effect.forever
    )
  })
}
