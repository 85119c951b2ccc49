/**
 * The shortest way for single jobs into a SQLite file, past fibers, statements and connections: where nothing is in the
 * way they are written at once. Where anything is, nothing is written, and they go the long way, which knows all answers.
 */
import * as Statement from "@effect/sql/Statement"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scheduler from "effect/Scheduler"
import type { Service } from "../../JobStorage.js"
import { refusal } from "../../internal/newJob.js"
import { turn } from "../../internal/eventLoop.js"
import * as trace from "../../internal/trace.js"
import { insertOne, valuesAt } from "./insert.js"
import { inAny } from "./ownership.js"
import type { Outcome, WriteEach } from "./sqliteDriver.js"

interface Options {
  readonly writeEach: WriteEach
  /** The long way. */
  readonly insert: Service["insert"]
  /** Told when jobs are written. */
  readonly tell: () => void
  /** Those that are about to be written at one time share a commit. */
  readonly groupCommit: boolean
}

interface Member {
  readonly values: ReadonlyArray<unknown>
  readonly reply: (outcome: Outcome) => void
}

const largest = 1_000

/** No transaction of the caller, tracer or transformer has a say in it. */
const isPlain = (fiber: Fiber.RuntimeFiber<unknown, unknown>): boolean =>
  !inAny(fiber.currentContext) &&
  !trace.isInstalled(fiber.currentTracer) &&
  Option.isNone(fiber.getFiberRef(Statement.currentTransformer))

export const make = ({ groupCommit, insert, tell, writeEach }: Options): Service["insert"] => {
  const waiting: Array<Member> = []
  let writing = false

  const write = (rows: ReadonlyArray<ReadonlyArray<unknown>>): Outcome => {
    const outcome = writeEach(insertOne, rows)
    if (outcome === "written") tell()
    return outcome
  }

  /** Until nobody waits: those who are answered join again before its next turn. */
  const writeAll = (scheduler: Scheduler.Scheduler): void => {
    const members = waiting.splice(0, largest)
    writing = members.length > 0
    if (!writing) return
    const outcome = write(members.map(({ values }) => values))
    for (const { reply } of members) reply(outcome)
    scheduler.scheduleTask(() => writeAll(scheduler), 0)
  }

  /** With all who are about to write; it takes no longer than a turn, so who is interrupted meanwhile is written too. */
  const join = (values: ReadonlyArray<unknown>, scheduler: Scheduler.Scheduler): Effect.Effect<Outcome> =>
    Effect.uninterruptible(
      Effect.async((resume) => {
        waiting.push({ values, reply: (outcome) => resume(Effect.succeed(outcome)) })
        if (writing) return
        writing = true
        scheduler.scheduleTask(() => writeAll(scheduler), 0)
      })
    )

  return (jobs) => {
    const [job, second] = jobs
    if (job === undefined || second !== undefined || refusal(jobs) !== undefined) return insert(jobs)
    return Effect.withFiberRuntime((fiber) => {
      if (!isPlain(fiber)) return insert(jobs)
      const now = Context.get(fiber.currentDefaultServices, Clock.Clock).unsafeCurrentTimeMillis()
      const values = valuesAt(job, now)
      // a key that is held would send all the others the long way
      const alone = !groupCommit || job.uniqueKey !== null
      const outcome = alone ? Effect.sync(() => write([values])) : join(values, fiber.currentScheduler)
      return Effect.flatMap(outcome, (found): ReturnType<Service["insert"]> => {
        if (found === "written") return Effect.succeed([{ id: job.id, answer: "inserted", created: true }])
        // the next try blocks the process again
        return found === "locked" ? Effect.zipRight(turn, insert(jobs)) : insert(jobs)
      })
    })
  }
}
