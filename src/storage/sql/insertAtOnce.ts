/**
 * The shortest way for jobs into a SQLite file, past fibers, statements and connections: where nothing is in the
 * way they are written at once. Where anything is, nothing is written, and they go the long way, which knows all answers.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"
import type { NewJob, Service } from "../../JobStorage.js"
import { refusal } from "../../internal/newJob.js"
import { turn } from "../../internal/eventLoop.js"
import { writeOf } from "./insert.js"
import { isPlain } from "./plain.js"
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
/** For so many milliseconds commits follow each other without a turn for the event loop. */
const slice = 10
/** After a pause of so many milliseconds the event loop has had its turn by itself. */
const pause = 1

export const make = ({ groupCommit, insert, tell, writeAll, writesOf }: Options): Service["insert"] => {
  const waiting: Array<Member> = []
  let turning = false
  /** When commits began to follow each other, and when the last was over. */
  let since = 0
  let ended = 0

  const write = (writes: ReadonlyArray<Write>): Outcome => {
    const outcome = writeAll(writes)
    if (outcome === "written") tell()
    return outcome
  }

  const soon = () => Scheduler.defaultScheduler.scheduleTask(takeTurns, 0)

  /** Until nobody waits: those who are answered join again before its next turn. */
  const takeTurns = (): void => {
    const members = waiting.splice(0, largest)
    turning = members.length > 0
    if (!turning) return
    const outcome = write(members.map((member) => member.write))
    for (const { reply } of members) reply(outcome)
    ended = performance.now()
    if (ended - since < slice) soon()
    else {
      // sockets and timers have their turn too: each commit blocks them
      setImmediate(() => {
        since = performance.now()
        soon()
      })
    }
  }

  /** With all who are about to write. It waits for a turn, no longer, so who is interrupted meanwhile is written too. */
  const join = (one: Write): Effect.Effect<Outcome> =>
    Effect.uninterruptible(
      Effect.async((resume) => {
        waiting.push({ write: one, reply: (outcome) => resume(Effect.succeed(outcome)) })
        if (turning) return
        turning = true
        const now = performance.now()
        if (now - ended > pause) since = now
        soon()
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
          ? join(writeOf(job, now))
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
