/** What a process does while another one keeps the SQLite file for itself. */
import { once } from "node:events"
import { join } from "node:path"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { assert, describe, it } from "@effect/vitest"
import { Job, JobQueue, Worker } from "dbjobq"
import * as SqliteStorage from "dbjobq/storage/SqliteStorage"
import { Effect, Fiber, Layer, Option, Queue } from "effect"
import { spawned, temporaryDirectory } from "../process/spawned.js"

const script = new URL("../process/locker.ts", import.meta.url)
const Mail = Job.make("Mail")

/** Keeps the file locked while the effect runs. */
const whileLocked = <A, E, R>(filename: string, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const child = yield* spawned(script, filename)
    yield* Effect.promise(() => once(child, "message"))
    const answer = yield* effect
    child.send("release")
    return answer
  }).pipe(Effect.scoped)

/** The longest time after its start for which this process could do nothing else, in milliseconds. */
const longestBlock = <A, E, R>(start: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const delays = monitorEventLoopDelay({ resolution: 5 })
    delays.enable()
    // it counts from its first tick
    yield* Effect.sleep("50 millis")
    const started = yield* start
    yield* Effect.sleep("700 millis")
    delays.disable()
    return [delays.max / 1e6, started] as const
  })

/** Other processes may keep this one waiting too: the best of a few looks counts. */
const best = (looks: ReadonlyArray<readonly [number, unknown]>): number => Math.min(...looks.map(([millis]) => millis))

describe("a SQLite file that another process keeps locked", () => {
  it.scopedLive(
    "the event loop goes on, and what was asked is done once the file is free",
    () =>
      Effect.gen(function* () {
        const filename = join(yield* temporaryDirectory, "jobs.db")
        const ran = yield* Queue.unbounded<string>()
        const live = Mail.toLayer(() => Effect.flatMap(Job.CurrentJob, ({ id }) => Queue.offer(ran, id)))
        yield* Effect.gen(function* () {
          yield* Worker.make([Mail], { pollInterval: "200 millis" }).pipe(Effect.provide(live))
          const each = Effect.all([JobQueue.enqueue(Mail), JobQueue.withTransaction(JobQueue.enqueue(Mail))])
          const many = Effect.map(Effect.replicateEffect(each, 20, { concurrency: "unbounded" }), (ids) => ids.flat())
          const looks = yield* whileLocked(
            filename,
            Effect.tap(Effect.replicateEffect(longestBlock(Effect.fork(many)), 3), (all) =>
              Effect.forEach(all, ([, fiber]) =>
                Effect.map(Fiber.poll(fiber), (exit) => assert.isTrue(Option.isNone(exit)))
              )
            )
          )
          const ids = (yield* Effect.forEach(looks, ([, fiber]) => Fiber.join(fiber))).flat()
          assert.sameMembers([...(yield* Queue.takeN(ran, ids.length))], ids)
          // one try waits 50 ms, and never two in a row
          assert.isBelow(best(looks), 90)
        }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(JobQueue.layer, SqliteStorage.layer({ filename }))))
      }),
    30_000
  )

  it.scopedLive(
    "a process that starts meanwhile waits for it without being blocked",
    () =>
      Effect.gen(function* () {
        const filename = join(yield* temporaryDirectory, "jobs.db")
        const open = Effect.provide(
          JobQueue.counts,
          Layer.provideMerge(JobQueue.layer, SqliteStorage.layer({ filename }))
        )
        const looks = yield* whileLocked(filename, Effect.replicateEffect(longestBlock(Effect.fork(open)), 3))
        for (const [, fiber] of looks) assert.deepStrictEqual(yield* Fiber.join(fiber), [])
        assert.isBelow(best(looks), 90)
      }),
    30_000
  )
})
