import type { SqlError } from "@effect/sql/SqlError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { StorageError } from "../../JobError.js"
import type { Db } from "./db.js"
import { detached, liveClock } from "./db.js"
import { describe } from "./isTransient.js"

/** How a client hears of NOTIFY; only drivers with LISTEN have it. */
export type Listen = (channel: string) => Stream.Stream<string, SqlError>

const interval = 5_000
const patience = 3_000

class NoEcho {
  readonly message = "no echo on the notification channel"
}

const sleep = (millis: number) => Effect.withClock(Effect.sleep(millis), liveClock)

/** The driver's stream neither fails nor recovers when its backend dies, so a probe must come back now and then. */
const session = (db: Db, channel: string, listen: Listen): Stream.Stream<string, SqlError | NoEcho> =>
  Stream.suspend(() => {
    const probe = `?${Math.random().toString(36).slice(2)}`
    let echoed = false
    let connected = false
    const heard = Stream.filterMap(listen(channel), (payload) => {
      if (!payload.startsWith("?")) return Option.some(payload)
      if (payload !== probe) return Option.none()
      echoed = true
      if (connected) return Option.none()
      connected = true
      // what was sent while nobody listened is lost: one hint makes the worker look
      return Option.some("*")
    })
    const ask = detached(db.sql`SELECT pg_notify(${channel}, ${probe})`)
    const check = Effect.gen(function* () {
      echoed = false
      const until = Date.now() + patience
      let asked = 0
      while (!echoed) {
        if (Date.now() > until) return yield* Effect.fail(new NoEcho())
        // the first probe may be sent before LISTEN is in force
        if (asked++ % 20 === 0) yield* ask
        yield* sleep(25)
      }
      yield* sleep(interval)
    })
    return Stream.merge(heard, Stream.drain(Stream.repeatEffect(check)), { haltStrategy: "either" })
  })

export const wakeups = (db: Db, listen: Listen | undefined): Stream.Stream<string, StorageError> => {
  const channel = db.channel
  if (listen === undefined || channel === undefined) return Stream.empty
  return Stream.suspend(() => {
    const warned = new Set<string>()
    const warn = (cause: Cause.Cause<SqlError | NoEcho>) => {
      const error = Cause.squash(cause)
      const reason = error instanceof NoEcho ? error.message : describe(error)
      if (warned.has(reason)) return Effect.void
      warned.add(reason)
      return Effect.logWarning(`dbjobq: wake-ups are interrupted (${reason}); workers poll until they are back`)
    }
    const again: Stream.Stream<string> = session(db, channel, listen).pipe(
      Stream.concat(Stream.fail(new NoEcho())),
      Stream.catchAllCause((cause) =>
        Stream.concat(
          Stream.drain(Stream.fromEffect(Effect.zipRight(warn(cause), sleep(500 + Math.random() * 500)))),
          Stream.suspend(() => again)
        )
      )
    )
    return again
  })
}
