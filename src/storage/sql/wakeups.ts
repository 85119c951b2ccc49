import type { SqlError } from "@effect/sql/SqlError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { StorageError } from "../../JobError.js"
import type { Wakeup } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { describe } from "./isTransient.js"
import { liveClock } from "../../internal/liveClock.js"
import { detached } from "./ownership.js"

/** How a client hears of NOTIFY; only drivers with LISTEN have it. What it took is given up when the scope closes. */
export type Listen = (channel: string) => Effect.Effect<Stream.Stream<string, SqlError>, never, Scope.Scope>

/** In a fiber that nobody waits for: the driver begins and ends with statements that a dead backend never answers. */
const heardOn = (
  stream: Stream.Stream<string, SqlError>
): Effect.Effect<Stream.Stream<string, SqlError>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const payloads = yield* Queue.unbounded<string>()
    const fiber = yield* Effect.forkDaemon(
      Effect.interruptible(Stream.runForEach(stream, (payload) => Queue.offer(payloads, payload)))
    )
    yield* Effect.addFinalizer(() => Fiber.interruptFork(fiber))
    return Stream.merge(Stream.fromQueue(payloads), Stream.drain(Stream.fromEffect(Fiber.join(fiber))), {
      haltStrategy: "either"
    })
  })

const interval = 5_000
const patience = 3_000
const maxPause = 30_000

class NoEcho {
  readonly message = "no echo on the notification channel"
}

const sleep = (millis: number) => Effect.withClock(Effect.sleep(millis), liveClock)

const none: ReadonlyArray<Wakeup> = []
const all: ReadonlyArray<Wakeup> = ["jobs", "schedules"]

/** The driver's stream neither fails nor recovers when its backend dies, so a probe must come back now and then. */
const session = (
  db: Db,
  channel: string,
  listen: Listen,
  onConnected: () => void
): Stream.Stream<Wakeup, SqlError | NoEcho> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const payloads = yield* Effect.flatMap(listen(channel), heardOn)
      const probe = `?${yield* Random.nextInt}`
      let echoed = false
      let connected = false
      const heard = Stream.mapConcat(payloads, (payload): ReadonlyArray<Wakeup> => {
        if (payload === "jobs" || payload === "schedules") return [payload]
        if (payload !== probe) return none
        echoed = true
        if (connected) return none
        connected = true
        onConnected()
        // what was sent while nobody listened is lost: one hint of each kind makes the worker look
        return all
      })
      const ask = detached(db.sql`SELECT pg_notify(${channel}, ${probe})`)
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
        yield* sleep(interval)
      })
      return Stream.merge(heard, Stream.drain(Stream.repeatEffect(check)), { haltStrategy: "either" })
    })
  )

export const wakeups = (db: Db, listen: Listen | undefined): Stream.Stream<Wakeup, StorageError> => {
  const channel = db.channel
  if (listen === undefined || channel === undefined) return Stream.empty
  return Stream.suspend(() => {
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
    const connected = () => {
      failures = 0
    }
    const again: Stream.Stream<Wakeup> = session(db, channel, listen, connected).pipe(
      Stream.concat(Stream.fail(new NoEcho())),
      Stream.catchAllCause((cause) =>
        Stream.concat(
          Stream.drain(Stream.fromEffect(Effect.zipRight(warn(cause), pause))),
          Stream.suspend(() => again)
        )
      )
    )
    return again
  })
}
