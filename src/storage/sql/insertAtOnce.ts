/**
 * The shortest way for jobs into a SQLite file, past fibers, statements and connections: where nothing is in the
 * way they are written at once. Where anything is, nothing is written, and they go the long way, which knows all answers.
 */
import * as Statement from "@effect/sql/Statement"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scheduler from "effect/Scheduler"
import type { NewJob, Service } from "../../JobStorage.js"
import { refusal } from "../../internal/newJob.js"
import { turn } from "../../internal/eventLoop.js"
import * as trace from "../../internal/trace.js"
import { writeOf } from "./insert.js"
import { inAny } from "./ownership.js"
import type { Outcome, Write, WriteAll } from "./sqliteDriver.js"

interface Options {
  readonly writeAll: WriteAll
  /** The statements for many jobs at this time. */
  readonly writesOf: (jobs: ReadonlyArray<NewJob>, now: number) => ReadonlyArray<Write>
  /** The long way. */
  readonly insert: Service["insert"]
  /** Told when jobs are written. */
  readonly tell: () => void
  /** Single ones that are about to be written at one time share a commit. */
  readonly groupCommit: boolean
}

interface Member {
  readonly write: Write
  readonly reply: (outcome: Outcome) => void
}

const largest = 1_000

/** No transaction of the caller, tracer or transformer has a say in it. */
const isPlain = (fiber: Fiber.RuntimeFiber<unknown, unknown>): boolean =>
  !inAny(fiber.currentContext) &&
  !trace.isInstalled(fiber.currentTracer) &&
  Option.isNone(fiber.getFiberRef(Statement.currentTransformer))

export const make = ({ groupCommit, insert, tell, writeAll, writesOf }: Options): Service["insert"] => {
  const waiting: Array<Member> = []
  let turning = false

  const write = (writes: ReadonlyArray<Write>): Outcome => {
    const outcome = writeAll(writes)
    if (outcome === "written") tell()
    return outcome
  }

  /** Until nobody waits: those who are answered join again before its next turn. */
  const takeTurns = (scheduler: Scheduler.Scheduler): void => {
    const members = waiting.splice(0, largest)
    turning = members.length > 0
    if (!turning) return
    const outcome = write(members.map((member) => member.write))
    for (const { reply } of members) reply(outcome)
    scheduler.scheduleTask(() => takeTurns(scheduler), 0)
  }

  /** With all who are about to write; it takes no longer than a turn, so who is interrupted meanwhile is written too. */
  const join = (one: Write, scheduler: Scheduler.Scheduler): Effect.Effect<Outcome> =>
    Effect.uninterruptible(
      Effect.async((resume) => {
        waiting.push({ write: one, reply: (outcome) => resume(Effect.succeed(outcome)) })
        if (turning) return
        turning = true
        scheduler.scheduleTask(() => takeTurns(scheduler), 0)
      })
    )

  return (jobs) => {
    const [job, second] = jobs
    const single = second === undefined
    // keys that are held would send all the others the long way
    const keyless = jobs.every(({ uniqueKey }) => uniqueKey === null)
    if (job === undefined || !(single || keyless) || refusal(jobs) !== undefined) return insert(jobs)
    return Effect.withFiberRuntime((fiber) => {
      if (!isPlain(fiber)) return insert(jobs)
      const now = Context.get(fiber.currentDefaultServices, Clock.Clock).unsafeCurrentTimeMillis()
      const outcome =
        single && keyless && groupCommit
          ? join(writeOf(job, now), fiber.currentScheduler)
          : Effect.sync(() => write(single ? [writeOf(job, now)] : writesOf(jobs, now)))
      return Effect.flatMap(outcome, (found): ReturnType<Service["insert"]> => {
        if (found === "written")
          return Effect.succeed(jobs.map(({ id }) => ({ id, answer: "inserted", created: true })))
        // the next try blocks the process again
        return found === "locked" ? Effect.zipRight(turn, insert(jobs)) : insert(jobs)
      })
    })
  }
}
