/** Records outcomes, those collected while the last flush was under way together, so that batching costs no delay. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { StorageError } from "../../JobError.js"
import type { Outcome, Service } from "../../JobStorage.js"
import * as failure from "../failure.js"
import * as metrics from "../metrics.js"
import type { Held, Holds } from "./holds.js"
import * as Monotonic from "./monotonic.js"

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
  let flushing: Array<ReadonlyArray<Outcome>> = []
  let refused: ReadonlyArray<Outcome> = []
  let offeredAt = 0

  const holderOf = (outcome: Outcome): Held | undefined => {
    const entry = holds.byId.get(outcome.id)
    return entry?.row.token === outcome.token ? entry : undefined
  }

  const answered = (outcomes: ReadonlyArray<Outcome>, accepted: ReadonlyArray<boolean>) =>
    Effect.gen(function* () {
      const counts = new Map<string, Map<Outcome["to"], number>>()
      let again = false
      for (const [i, outcome] of outcomes.entries()) {
        const entry = holderOf(outcome)
        if (entry === undefined) continue
        holds.release(entry)
        if (accepted[i] !== true) {
          yield* Effect.logWarning("dbjobq: an outcome came too late, the job was no longer held").pipe(
            Effect.annotateLogs({ job: entry.row.name, jobId: outcome.id, attempt: entry.row.attempt })
          )
          continue
        }
        if (outcome.to !== "release") holds.recorded++
        if (outcome.to === "fail") yield* tellFailed(failedForGood, entry, outcome.failure)
        if (outcome.to === "retry") {
          // what it says is worked out only where somebody listens: failures may be many
          const { failure: stored } = outcome
          yield* Effect.whenLogLevel(
            Effect.suspend(() => tellFailed(failedOnce, entry, stored)),
            "Debug"
          )
        }
        if (outcome.to === "retry" || outcome.to === "snooze") again = true
        const known = counts.get(entry.row.name)
        if (known === undefined) counts.set(entry.row.name, new Map([[outcome.to, 1]]))
        else known.set(outcome.to, (known.get(outcome.to) ?? 0) + 1)
      }
      // a retried job may be due before the fetcher looks again by itself
      if (again) holds.signals.fetch.raise()
      for (const [job, ends] of counts) for (const [to, count] of ends) metrics.unsafeSettled(job, to, count)
    })

  const settle = (outcomes: ReadonlyArray<Outcome>) =>
    Effect.flatMap(Effect.uninterruptible(storage.settle(outcomes)), (accepted) => answered(outcomes, accepted))

  /** A refusal for good must not hold up the neighbours: the batch is halved until the culprit stands alone. */
  const isolate = (
    outcomes: ReadonlyArray<Outcome>,
    error: StorageError,
    now: number
  ): Effect.Effect<void, StorageError> => {
    if (error.isTransient) return Effect.fail(error)
    flushing.pop()
    if (outcomes.length > 1) {
      const half = outcomes.length >> 1
      flushing.push(outcomes.slice(half), outcomes.slice(0, half))
      return Effect.void
    }
    // the others that were refused do not wait longer for one more
    if (refused.length === 0) offeredAt = now
    refused = [...refused, ...outcomes]
    for (const outcome of outcomes) {
      const entry = holderOf(outcome)
      if (entry !== undefined) entry.refused = true
    }
    return Effect.logError("dbjobq: the storage refuses an outcome; it is offered again until the lease ends").pipe(
      Effect.annotateLogs({ jobId: outcomes[0]?.id, problem: error.message })
    )
  }

  /** Once each, apart from its neighbours, until its lease is over: then a sweep decides. */
  const offerAgain = (now: number) =>
    Effect.gen(function* () {
      offeredAt = now
      for (const outcome of refused) {
        const entry = holderOf(outcome)
        if (entry !== undefined && entry.leaseEnd <= now) holds.release(entry)
        else if (entry !== undefined) yield* Effect.ignore(settle([outcome]))
      }
      refused = refused.filter((outcome) => holderOf(outcome) !== undefined)
    })

  const next = (): ReadonlyArray<Outcome> | undefined => {
    if (flushing.length === 0 && holds.outcomes.length > 0) {
      flushing = [holds.outcomes.slice(0, batch)]
      holds.outcomes = holds.outcomes.slice(batch)
    }
    return flushing[flushing.length - 1]
  }

  return {
    turn: Effect.flatMap(Monotonic.now, (now) => {
      const left = refused.length > 0 ? offeredAt + pause - now : Number.POSITIVE_INFINITY
      if (left <= 0) return offerAgain(now)
      const outcomes = next()
      if (outcomes !== undefined) {
        return Effect.matchEffect(settle(outcomes), {
          onFailure: (error) => isolate(outcomes, error, now),
          onSuccess: () => Effect.sync(() => flushing.pop())
        })
      }
      return refused.length > 0
        ? Effect.asVoid(holds.signals.settle.waitFor(Math.ceil(left)))
        : holds.signals.settle.wait
    })
  }
}
