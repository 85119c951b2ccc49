/** Records outcomes, those collected while the last flush was under way together, so that batching costs no delay. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { StorageError } from "../../JobError.js"
import type { Outcome, Service } from "../../JobStorage.js"
import * as failure from "../failure.js"
import * as metrics from "../metrics.js"
import type { Ending, Held, Holds } from "./holds.js"
import * as Monotonic from "../monotonic.js"

const batch = 1_000
/** How long an outcome that the storage refuses waits before it is offered again, in milliseconds. */
const pause = 1_000

const failedForGood = Effect.logWarning("dbjobq: a job has failed for good")
const failedOnce = Effect.logDebug("dbjobq: an attempt has failed; the job will be tried again")

/** By its kind and name only: the message of an error may quote a payload. */
const tellFailed = (said: Effect.Effect<void>, { row }: Held, stored: string): Effect.Effect<void> =>
  said.pipe(
    Effect.annotateLogs({ job: row.name, jobId: row.id, attempt: row.attempt }),
    Effect.annotateLogs(
      Either.match(failure.read(stored), {
        onLeft: () => ({ failure: "unknown" }),
        onRight: ({ kind, name }) => ({ kind, failure: name })
      })
    )
  )

export const make = (storage: Service, holds: Holds): { readonly turn: Effect.Effect<void, StorageError> } => {
  // what is being flushed stays here until it is answered: a failed turn is repeated with the very same batch
  let flushing: Array<ReadonlyArray<Ending>> = []
  let refused: ReadonlyArray<Ending> = []
  let offeredAt = 0
  const settledOf = metrics.settled()

  const tellLate = ({ row }: Held) =>
    Effect.logWarning("dbjobq: an outcome came too late, the job was no longer held").pipe(
      Effect.annotateLogs({ job: row.name, jobId: row.id, attempt: row.attempt })
    )

  /** What is to be said of an ending that was recorded, if anything. */
  const told = ({ entry, outcome }: Ending): Effect.Effect<void> | undefined => {
    switch (outcome.to) {
      case "fail":
        return tellFailed(failedForGood, entry, outcome.failure)
      case "retry":
        // what it says is worked out only where somebody listens: failures may be many
        return Effect.asVoid(
          Effect.whenLogLevel(
            Effect.suspend(() => tellFailed(failedOnce, entry, outcome.failure)),
            "Debug"
          )
        )
      default:
        return undefined
    }
  }

  /** Lets go of what was recorded, and of what can no longer be; answers what there is to tell of it. */
  const conclude = (endings: ReadonlyArray<Ending>, accepted: ReadonlyArray<boolean>) => {
    const counts = new Map<string, Map<Outcome["to"], number>>()
    const telling: Array<Effect.Effect<void>> = []
    let again = false
    endings.forEach((ending, i) => {
      const { entry, outcome } = ending
      if (!entry.held) return
      holds.release(entry)
      if (accepted[i] !== true) {
        telling.push(tellLate(entry))
        return
      }
      const { to } = outcome
      if (to !== "release") holds.recorded++
      if (to === "retry" || to === "snooze") again = true
      const telltale = told(ending)
      if (telltale !== undefined) telling.push(telltale)
      const known = counts.get(entry.row.name)
      if (known === undefined) counts.set(entry.row.name, new Map([[to, 1]]))
      else known.set(to, (known.get(to) ?? 0) + 1)
    })
    // a retried job may be due before the fetcher looks again by itself
    if (again) holds.signals.fetch.raise()
    for (const [job, ends] of counts)
      for (const [to, count] of ends) settledOf(job)(to).unsafeUpdate(count, metrics.noLabels)
    return telling
  }

  const settle = (endings: ReadonlyArray<Ending>) =>
    Effect.flatMap(Effect.uninterruptible(storage.settle(endings.map(({ outcome }) => outcome))), (accepted) =>
      Effect.forEach(conclude(endings, accepted), (say) => say, { discard: true })
    )

  /** A refusal for good must not hold up the neighbours: the batch is halved until the culprit stands alone. */
  const isolate = (
    endings: ReadonlyArray<Ending>,
    error: StorageError,
    now: number
  ): Effect.Effect<void, StorageError> => {
    if (error.isTransient) return Effect.fail(error)
    flushing.pop()
    if (endings.length > 1) {
      const half = endings.length >> 1
      flushing.push(endings.slice(half), endings.slice(0, half))
      return Effect.void
    }
    // the others that were refused do not wait longer for one more
    if (refused.length === 0) offeredAt = now
    refused = [...refused, ...endings]
    for (const { entry } of endings) entry.refused = true
    return Effect.logError("dbjobq: the storage refuses an outcome; it is offered again until the lease ends").pipe(
      Effect.annotateLogs({ jobId: endings[0]?.outcome.id, problem: error.message })
    )
  }

  /** Once each, apart from its neighbours, until its lease is over: then a sweep decides. */
  const offerAgain = (now: number) =>
    Effect.gen(function* () {
      offeredAt = now
      for (const ending of refused) {
        if (ending.entry.leaseEnd <= now) holds.release(ending.entry)
        else if (ending.entry.held) yield* Effect.ignore(settle([ending]))
      }
      refused = refused.filter(({ entry }) => entry.held)
    })

  const next = (): ReadonlyArray<Ending> | undefined => {
    if (flushing.length === 0 && holds.endings.length > 0) {
      flushing = [holds.endings.slice(0, batch)]
      holds.endings = holds.endings.slice(batch)
      holds.ask()
    }
    return flushing[flushing.length - 1]
  }

  return {
    turn: Effect.flatMap(Monotonic.now, (now) => {
      const left = refused.length > 0 ? offeredAt + pause - now : Number.POSITIVE_INFINITY
      if (left <= 0) return offerAgain(now)
      const endings = next()
      if (endings !== undefined) {
        return Effect.matchEffect(settle(endings), {
          onFailure: (error) => isolate(endings, error, now),
          onSuccess: () => Effect.sync(() => flushing.pop())
        })
      }
      return refused.length > 0
        ? Effect.asVoid(holds.signals.settle.waitFor(Math.ceil(left)))
        : holds.signals.settle.wait
    })
  }
}
