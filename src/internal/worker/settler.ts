/** Records outcomes, those collected while the last flush was under way together, so that batching costs no delay. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { StorageError } from "../../JobError.js"
import type { Outcome, Service } from "../../JobStorage.js"
import * as metrics from "../metrics.js"
import type { Held, Holds } from "./holds.js"
import * as Monotonic from "./monotonic.js"

const batch = 1_000
/** How long an outcome that the storage refuses waits before it is offered again, in milliseconds. */
const pause = 1_000

const decodeFailure = Schema.decodeOption(Schema.parseJson(Schema.Struct({ kind: Schema.String, name: Schema.String })))

/** By its kind and name only: the message of an error may quote a payload. */
const tellFailed = ({ row }: Held, failure: string): Effect.Effect<void> => {
  const { kind, name } = Option.getOrElse(decodeFailure(failure), () => ({ kind: "unknown", name: "unknown" }))
  return Effect.logWarning("dbjobq: a job has failed for good").pipe(
    Effect.annotateLogs({ job: row.name, jobId: row.id, attempt: row.attempt, kind, failure: name })
  )
}

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
      const counts = new Map<string, { readonly job: string; readonly to: string; count: number }>()
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
        holds.recorded++
        if (outcome.to === "fail") yield* tellFailed(entry, outcome.failure)
        if (outcome.to === "retry" || outcome.to === "snooze") again = true
        const key = `${entry.row.name} ${outcome.to}`
        const known = counts.get(key)
        if (known === undefined) counts.set(key, { job: entry.row.name, to: outcome.to, count: 1 })
        else known.count++
      }
      // a retried job may be due before the fetcher looks again by itself
      if (again) holds.signals.fetch.raise()
      for (const { count, job, to } of counts.values()) metrics.unsafeSettled(job, to, count)
    })

  const settle = (outcomes: ReadonlyArray<Outcome>) =>
    Effect.flatMap(Effect.uninterruptible(storage.settle(outcomes)), (accepted) => answered(outcomes, accepted))

  /** A refusal for good must not hold up the neighbours: the batch is halved until the culprit stands alone. */
  const isolate = (outcomes: ReadonlyArray<Outcome>, error: StorageError): Effect.Effect<void, StorageError> =>
    Effect.gen(function* () {
      if (error.isTransient) return yield* error
      flushing.pop()
      if (outcomes.length > 1) {
        const half = outcomes.length >> 1
        flushing.push(outcomes.slice(half), outcomes.slice(0, half))
        return
      }
      refused = [...refused, ...outcomes]
      offeredAt = yield* Monotonic.now
      for (const outcome of outcomes) {
        const entry = holderOf(outcome)
        if (entry !== undefined) entry.refused = true
      }
      yield* Effect.logError("dbjobq: the storage refuses an outcome; it is offered again until the lease ends").pipe(
        Effect.annotateLogs({ jobId: outcomes[0]?.id, problem: error.message })
      )
    })

  /** Once each, apart from its neighbours, until its lease is over: then a sweep decides. */
  const offerAgain = Effect.gen(function* () {
    const left = offeredAt + pause - (yield* Monotonic.now)
    if (left > 0) yield* Effect.raceFirst(holds.signals.settle.wait, Effect.sleep(left))
    const now = yield* Monotonic.now
    if (now - offeredAt < pause) return
    offeredAt = now
    for (const outcome of refused) {
      const entry = holderOf(outcome)
      if (entry !== undefined && entry.leaseEnd <= now) holds.release(entry)
      else if (entry !== undefined) yield* Effect.ignore(settle([outcome]))
    }
    refused = refused.filter((outcome) => holderOf(outcome) !== undefined)
  })

  return {
    turn: Effect.suspend(() => {
      if (flushing.length === 0 && holds.outcomes.length > 0) {
        flushing = [holds.outcomes.slice(0, batch)]
        holds.outcomes = holds.outcomes.slice(batch)
      }
      const outcomes = flushing[flushing.length - 1]
      if (outcomes === undefined) return refused.length > 0 ? offerAgain : holds.signals.settle.wait
      return Effect.matchEffect(settle(outcomes), {
        onFailure: (error) => isolate(outcomes, error),
        onSuccess: () => Effect.sync(() => flushing.pop())
      })
    })
  }
}
