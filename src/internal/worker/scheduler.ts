/** Fires schedules: sleeps to the earliest known slot, and no longer than the poll interval where news may be missed. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { StorageError } from "../../JobError.js"
import type { Fire, Fired, ScheduleRow, Service } from "../../JobStorage.js"
import * as Recurrence from "../../Recurrence.js"
import { longestSleep } from "./longestSleep.js"
import * as Monotonic from "../monotonic.js"
import type { Signal } from "../signal.js"
import * as Slots from "./slots.js"

/** Schedules looked at in one turn. */
const batch = 200
const maxCached = 1_000
/** Others were faster with all that was found, or the storage's view of what is due lags behind. */
const staleWait = 100
/** The storage refuses what is due, and may go on doing so. */
const refusedWait = 5_000

interface Tried {
  readonly accepted: number
  readonly refusals: ReadonlyArray<string>
}

const all = (tries: ReadonlyArray<Tried>): Tried => ({
  accepted: tries.reduce((total, { accepted }) => total + accepted, 0),
  refusals: tries.flatMap(({ refusals }) => refusals)
})

export interface Scheduler {
  /** Fires what is due, then waits for the next slot or for news. */
  readonly turn: Effect.Effect<void, StorageError>
}

export const make = (
  storage: Service,
  options: {
    readonly pollInterval: number
    /** Raised when schedules change. */
    readonly wake: Signal
    /** Called when jobs were inserted. */
    readonly fired: () => void
    /** Told of what the storage refuses, or that it refuses nothing. */
    readonly report: (problem: string | undefined) => Effect.Effect<void>
  }
): Scheduler => {
  const longest = storage.capabilities.wakeups === "exact" ? longestSleep : Math.min(longestSleep, options.pollInterval)

  // reading a cron expression costs more than finding its next slot
  const cache = new Map<string, Either.Either<Recurrence.Recurrence, string>>()
  const recurrenceOf = (text: string): Either.Either<Recurrence.Recurrence, string> => {
    const known = cache.get(text)
    if (known !== undefined) return known
    if (cache.size >= maxCached) cache.clear()
    const read = Either.mapLeft(
      Recurrence.fromString(text),
      (error) => `its recurrence does not parse: ${error.message}`
    )
    cache.set(text, read)
    return read
  }

  const plan = (row: ScheduleRow, cursor: number, now: number): Fire =>
    Either.merge(
      Either.flatMap(recurrenceOf(row.recurrence), (recurrence) =>
        Either.try({
          try: () => Slots.fire(row, cursor, recurrence, now),
          catch: () => "its recurrence cannot be followed"
        })
      ).pipe(Either.mapLeft((reason) => Slots.quarantine(row, cursor, reason)))
    )

  const report = (fire: Fire, answer: Fired | undefined) =>
    fire.disable === null || answer?.answer !== "fired"
      ? Effect.void
      : Effect.logError(`dbjobq: the schedule ${fire.schedule} is disabled: ${fire.disable}`)

  const fireBatch = (fires: ReadonlyArray<Fire>): Effect.Effect<number, StorageError> =>
    Effect.gen(function* () {
      const answers = yield* storage.fire(fires)
      let fired = 0
      let jobs = 0
      for (const [at, fire] of fires.entries()) {
        const answer = answers[at]
        yield* report(fire, answer)
        if (answer?.answer !== "fired") continue
        fired++
        jobs += answer.jobs
      }
      if (jobs > 0) options.fired()
      return fired
    })

  /** A refusal does not keep the other schedules from firing. */
  const fireAll = (fires: ReadonlyArray<Fire>): Effect.Effect<Tried, StorageError> =>
    Effect.catchAll(
      Effect.map(fireBatch(fires), (accepted) => ({ accepted, refusals: [] })),
      (error) => {
        const [first, ...others] = fires
        if (error.isTransient || first === undefined) return Effect.fail(error)
        return others.length > 0
          ? Effect.map(
              Effect.forEach(fires, (fire) => fireAll([fire])),
              all
            )
          : Effect.succeed({ accepted: 0, refusals: [`the storage refuses ${first.schedule}: ${error.message}`] })
      }
    )

  const turn = Effect.gen(function* () {
    const { due, nextIn, now } = yield* storage.dueSchedules(batch)
    const since = yield* Monotonic.now
    const fires = due.flatMap((row) => (row.next === null ? [] : [plan(row, row.next, now)]))
    const { accepted, refusals } = all(yield* Effect.forEach(parts(fires), fireAll))
    yield* options.report(refusals.length > 0 ? refusals.slice(0, 3).join("; ") : undefined)
    const atMost = accepted + refusals.length < fires.length ? staleWait : refusals.length > 0 ? refusedWait : longest
    const slots = fires.flatMap((fire) => fire.next ?? [])
    const earliest = Math.min(now + (nextIn ?? longest), ...slots)
    const spent = (yield* Monotonic.now) - since
    const more = due.length === batch && accepted > 0
    const rest = more ? 0 : Math.min(earliest - now - spent, atMost)
    // whoever is raised meanwhile looks again at once
    if (rest > 0) yield* options.wake.waitFor(rest)
  })

  return { turn }
}

/** So that one call inserts no more than one fire may. */
const parts = (fires: ReadonlyArray<Fire>): ReadonlyArray<ReadonlyArray<Fire>> => {
  const result: Array<Array<Fire>> = []
  let room = 0
  for (const fire of fires) {
    const open = result[result.length - 1]
    if (open === undefined || fire.jobs.length > room) {
      result.push([fire])
      room = Slots.maxJobs - fire.jobs.length
    } else {
      open.push(fire)
      room -= fire.jobs.length
    }
  }
  return result
}
