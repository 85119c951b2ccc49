import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { Hear } from "../../internal/hear.js"
import type { StorageError } from "../../JobError.js"
import type { Wakeup } from "../../JobStorage.js"
import type { Connection } from "./connection.js"
import { liveClock } from "../../internal/liveClock.js"
import * as Turns from "../../internal/turns.js"
import type { Db } from "./db.js"
import { storageError } from "./errors.js"
import * as Script from "./script.js"

/** How often a subscriber that hears nothing asks whether the other side is there. */
const heartbeat = 5_000

/** What a listener says of itself, so that the others know how many there are. */
const present = Script.make("present", "goesOn", `redis.call('PUBLISH', base .. 'wakeups', ARGV[2])`)

/** Listens on one connection until it is lost. */
const session = (
  connection: Connection,
  db: Db,
  base: string,
  turns: Turns.Turns,
  tell: (wakeup: Wakeup) => void
): Effect.Effect<never, StorageError> =>
  Effect.gen(function* () {
    const name = `?${yield* Random.nextInt}`
    const others = Turns.rivals(heartbeat)
    const jobs = turns.listener(others, () => tell("jobs"))
    const subscriber = yield* Effect.acquireRelease(
      Effect.sync(() => connection.subscriber()),
      (one) => Effect.sync(() => one.disconnect())
    )
    let reason: unknown = new Error("Connection is closed.")
    subscriber.on("error", (error: unknown) => {
      reason = error
    })
    subscriber.on("message", (_channel, message) => {
      if (message === "jobs") jobs.heard()
      else if (message === "schedules") tell(message)
      else if (message.startsWith("?") && message !== name) others.seen(message)
    })
    const ask = (question: () => Promise<unknown>) =>
      Effect.tryPromise({ try: question, catch: (error) => storageError("wakeups", error) })
    const closed = Effect.async<never, StorageError>((resume) => {
      subscriber.once("close", () => resume(Effect.fail(storageError("wakeups", reason))))
    })
    const listen = Effect.gen(function* () {
      yield* ask(() => subscriber.subscribe(`${base}wakeups`))
      // what was told while nobody listened is lost
      tell("jobs")
      tell("schedules")
      // a connection that died without a word is found by a question that stays unanswered
      return yield* Effect.forever(
        // those who do not hear of it ask sooner than they need to
        Effect.ignore(db.run(present, [name], () => undefined)).pipe(
          Effect.zipRight(Effect.sleep(heartbeat)),
          Effect.zipRight(ask(() => subscriber.ping()))
        )
      )
    })
    return yield* Effect.raceFirst(closed, Effect.raceFirst(listen, jobs.run))
  }).pipe(Effect.scoped, Effect.withClock(liveClock))

/** Each listener has a connection of its own, made anew whenever it is lost. */
export const wakeups =
  (connection: Connection, db: Db, base: string, turns: Turns.Turns): Hear =>
  (heard) =>
    Effect.suspend(() => {
      const warned = new Set<string>()
      const warn = (error: StorageError) => {
        if (warned.has(error.message)) return Effect.void
        warned.add(error.message)
        return Effect.logWarning(
          `dbjobq: wake-ups are interrupted (${error.message}); workers poll until they are back`
        )
      }
      const pause = Effect.flatMap(Random.next, (unit) => Effect.sleep(250 + 500 * unit))
      return session(connection, db, base, turns, heard).pipe(
        Effect.catchAll((error) => Effect.zipRight(warn(error), Effect.withClock(pause, liveClock))),
        Effect.forever
      )
    })
