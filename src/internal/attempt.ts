/** One attempt at a job: decode the payload, run the handler, and say how it ended. */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import type * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Failure from "../Failure.js"
import { StorageError } from "../JobError.js"
import type { ClaimedJob, Transactional } from "../JobStorage.js"
import * as Backoff from "./backoff.js"
import * as failure from "./failure.js"
import * as Json from "./json.js"
import * as parseIssue from "./parseIssue.js"

/** Why the worker interrupts an attempt. */
export type Reason = "cancelled" | "lost" | "shutdown" | "timeout"

/** How an attempt ended. */
export type Ended =
  | { readonly _tag: "Success"; readonly result: string | null }
  /** A transactional handler committed its completion itself. */
  | { readonly _tag: "Settled" }
  /** A transactional handler was refused, and rolled back: the job is no longer held. */
  | { readonly _tag: "Fenced" }
  | { readonly _tag: "Snooze"; readonly delay: number }
  | { readonly _tag: "Failure"; readonly failure: Failure.Encoded; readonly retryIn: number | undefined }
  /** By the worker, for another reason than the timeout. */
  | { readonly _tag: "Interrupted" }

/** What the worker lends to an attempt. */
export interface Lent<Current> {
  /** What the handler sees of the job it runs. */
  readonly current: Current
  /** The settlement that a transactional handler commits; answers whether the job was still held. */
  readonly complete: (result: string | null) => Effect.Effect<boolean, StorageError>
  /** Why the worker interrupted the attempt, if it did. */
  readonly reason: () => Reason | undefined
  /** Largest result or typed error that the storage takes, in bytes of JSON. */
  readonly maxResult: number
}

/** To be run uninterruptibly: only the decoding and the handler let themselves be interrupted. */
export type Attempt<Current> = (row: ClaimedJob, lent: Lent<Current>) => Effect.Effect<Ended>

export interface Options<A, S, E, Current> {
  readonly payload: Schema.Schema<A, unknown>
  readonly success: Schema.Schema<S, unknown>
  readonly error: Schema.Schema<E, unknown>
  /** Milliseconds; the worker keeps the time, and interrupts. */
  readonly timeout: number | undefined
  readonly schedule: Schedule.Schedule<unknown, Failure.Failure<E>> | undefined
  readonly retryWhile: ((error: E) => boolean) | undefined
  readonly transactional: Context.Tag.Service<typeof Transactional> | undefined
  readonly run: (payload: A, current: Current, scope: Scope.Scope) => Effect.Effect<S, E>
}

/** Largest result or typed error, in bytes of JSON. */
const maxResult = 1_048_576

/** A control outcome travels as a defect, so that a handler's own error handling does not swallow it. */
export class Control {
  readonly outcome:
    | { readonly to: "snooze"; readonly delay: number }
    | { readonly to: "discard"; readonly reason: string }
  constructor(outcome: Control["outcome"]) {
    this.outcome = outcome
  }
}

const undecodable = (refusal: Json.Refusal): Effect.Effect<Ended> =>
  Effect.succeed({
    _tag: "Failure",
    failure: failure.stated("undecodable", "PayloadError", `expected "${refusal.path}" to be ${refusal.expected}`),
    retryIn: undefined
  })

export const make = <A, S, E, Current>({
  error,
  payload,
  retryWhile,
  run,
  schedule,
  success,
  timeout,
  transactional
}: Options<A, S, E, Current>): Attempt<Current> => {
  const decodePayload = ParseResult.decodeUnknown(payload)
  const encodeResult = ParseResult.encode(success)
  const encodeError = ParseResult.encode(error)

  const failed = (row: ClaimedJob, stored: Failure.Encoded, typed?: E): Effect.Effect<Ended> => {
    const final =
      row.attempt >= row.maxAttempts || (stored.kind === "fail" && typed !== undefined && retryWhile?.(typed) === false)
    if (final) return Effect.succeed({ _tag: "Failure", failure: stored, retryIn: undefined })
    const input = { kind: stored.kind, name: stored.name, message: stored.message, error: typed }
    return Effect.map(
      schedule === undefined ? Backoff.standard(row.attempt) : Backoff.replay(schedule, row.attempt, input),
      (retryIn) => ({ _tag: "Failure", failure: stored, retryIn })
    )
  }

  const largest = (lent: Lent<Current>): number => Math.min(maxResult, lent.maxResult)

  const typedFailure = (row: ClaimedJob, lent: Lent<Current>, value: E): Effect.Effect<Ended> =>
    Effect.matchEffect(encodeError(value), {
      onFailure: () => failed(row, failure.make("die", value)),
      onSuccess: (encoded) =>
        Either.match(Json.stringify(encoded, largest(lent)), {
          onLeft: () => failed(row, failure.make("die", value)),
          onRight: () => failed(row, failure.make("fail", value, encoded), value)
        })
    })

  const fromCause = (row: ClaimedJob, lent: Lent<Current>, cause: Cause.Cause<E | Halt>): Effect.Effect<Ended> => {
    const reason = lent.reason()
    if (reason === "timeout") {
      return failed(row, failure.stated("timeout", "TimeoutException", `no result within ${timeout} ms`))
    }
    // a job that was cancelled or lost is so however its handler answers the interruption
    if (reason === "cancelled" || reason === "lost" || (reason === "shutdown" && Cause.isInterrupted(cause))) {
      return Effect.succeed({ _tag: "Interrupted" })
    }
    for (const defect of Cause.defects(cause)) {
      if (!(defect instanceof Control)) continue
      return Effect.succeed(
        defect.outcome.to === "snooze"
          ? { _tag: "Snooze", delay: defect.outcome.delay }
          : {
              _tag: "Failure",
              failure: failure.stated("discarded", "Discarded", defect.outcome.reason),
              retryIn: undefined
            }
      )
    }
    const typed = Cause.failureOption(cause)
    if (Option.isSome(typed)) {
      if (typed.value instanceof Fenced) return Effect.succeed({ _tag: "Fenced" })
      if (typed.value instanceof Refused) {
        const { expected, path } = typed.value.refusal
        const message = `the result does not encode: expected "${path}" to be ${expected}`
        return failed(row, failure.stated("die", "ResultError", message))
      }
      if (typed.value instanceof StorageFailed) return failed(row, failure.make("die", typed.value.error))
      return typedFailure(row, lent, typed.value)
    }
    const defect = Cause.dieOption(cause)
    return failed(
      row,
      Option.isSome(defect)
        ? failure.make("die", defect.value)
        : failure.stated("interrupted", "InterruptedException", "the handler interrupted itself")
    )
  }

  const encodeSuccess = (lent: Lent<Current>, value: S): Effect.Effect<string | null, Refused> =>
    Effect.matchEffect(encodeResult(value), {
      onFailure: (issue) => Effect.fail(new Refused(parseIssue.describe(issue))),
      onSuccess: (encoded) =>
        encoded === undefined
          ? Effect.succeed(null)
          : Either.mapLeft(Json.stringify(encoded, largest(lent)), (refusal) => new Refused(refusal))
    })

  const handled = (lent: Lent<Current>, value: A): Effect.Effect<Ended, E | Halt> => {
    const result = Effect.flatMap(
      Effect.scopedWith((scope) => run(value, lent.current, scope)),
      (done) => encodeSuccess(lent, done)
    )
    if (transactional === undefined) return Effect.map(result, (text) => ({ _tag: "Success", result: text }))
    // the completion commits with the handler's own writes; refusing it here rolls both back
    const settled = Effect.flatMap(result, (text) =>
      Effect.flatMap(
        Effect.mapError(lent.complete(text), (cause) => new StorageFailed(cause)),
        (accepted) => (accepted ? Effect.succeed<Ended>({ _tag: "Settled" }) : Effect.fail(new Fenced()))
      )
    )
    return Effect.mapError(transactional.withTransaction(settled), (cause) =>
      cause instanceof StorageError ? new StorageFailed(cause) : cause
    )
  }

  return (row, lent) => {
    const parsed = Json.parse(row.payload)
    if (Either.isLeft(parsed)) return undecodable(parsed.left)
    return Effect.matchCauseEffect(Effect.interruptible(Effect.suspend(() => decodePayload(parsed.right))), {
      onFailure: (cause) =>
        Cause.isInterrupted(cause)
          ? fromCause(row, lent, Cause.interrupt(FiberId.none))
          : undecodable(
              Option.match(Cause.failureOption(cause), {
                onNone: () => ({ path: "", expected: "a payload that its schema decodes without throwing" }),
                onSome: parseIssue.describe
              })
            ),
      onSuccess: (value) =>
        Effect.matchCauseEffect(Effect.interruptible(Effect.suspend(() => handled(lent, value))), {
          onFailure: (cause) => fromCause(row, lent, cause),
          onSuccess: Effect.succeed
        })
    })
  }
}

/** Ends an attempt for a reason that is not the handler's typed error. */
type Halt = Fenced | Refused | StorageFailed

class Fenced {
  readonly _tag = "~dbjobq/Fenced"
}
class Refused {
  readonly _tag = "~dbjobq/Refused"
  readonly refusal: Json.Refusal
  constructor(refusal: Json.Refusal) {
    this.refusal = refusal
  }
}
class StorageFailed {
  readonly _tag = "~dbjobq/StorageFailed"
  readonly error: StorageError
  constructor(error: StorageError) {
    this.error = error
  }
}
