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
export interface Lent {
  /** The settlement that a transactional handler commits; answers whether the job was still held. */
  readonly complete: (result: string | null) => Effect.Effect<boolean, StorageError>
  /** Why the worker interrupted the attempt, if it did. */
  readonly reason: () => Reason | undefined
  /** Largest result or typed error that the storage takes, in bytes of JSON. */
  readonly maxResult: number
}

/** To be run uninterruptibly: only the decoding and the handler let themselves be interrupted. */
export type Attempt<R> = (row: ClaimedJob, lent: Lent) => Effect.Effect<Ended, never, R>

export interface Options<A, S, E, R> {
  readonly payload: Schema.Schema<A, unknown>
  readonly success: Schema.Schema<S, unknown>
  readonly error: Schema.Schema<E, unknown>
  /** Milliseconds; the worker keeps the time, and interrupts. */
  readonly timeout: number | undefined
  readonly schedule: Schedule.Schedule<unknown, Failure.Failure<E>> | undefined
  readonly retryWhile: ((error: E) => boolean) | undefined
  readonly transactional: Context.Tag.Service<typeof Transactional> | undefined
  readonly run: (payload: A) => Effect.Effect<S, E, R | Scope.Scope>
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

export const make = <A, S, E, R>({
  error,
  payload,
  retryWhile,
  run,
  schedule,
  success,
  timeout,
  transactional
}: Options<A, S, E, R>): Attempt<Exclude<R, Scope.Scope>> => {
  const decodePayload = ParseResult.decodeUnknown(payload)
  const encodeResult = ParseResult.encode(success)
  const encodeError = ParseResult.encode(error)

  return (row, lent) => {
    const largest = Math.min(maxResult, lent.maxResult)

    const failed = (stored: Failure.Encoded, typed?: E): Effect.Effect<Ended> => {
      const final =
        row.attempt >= row.maxAttempts ||
        (stored.kind === "fail" && typed !== undefined && retryWhile?.(typed) === false)
      if (final) return Effect.succeed({ _tag: "Failure", failure: stored, retryIn: undefined })
      const input = { kind: stored.kind, name: stored.name, message: stored.message, error: typed }
      return Effect.map(
        schedule === undefined ? Backoff.standard(row.attempt) : Backoff.replay(schedule, row.attempt, input),
        (retryIn) => ({ _tag: "Failure", failure: stored, retryIn })
      )
    }

    const undecodable = (refusal: Json.Refusal): Effect.Effect<Ended> =>
      Effect.succeed({
        _tag: "Failure",
        failure: failure.stated("undecodable", "PayloadError", `expected "${refusal.path}" to be ${refusal.expected}`),
        retryIn: undefined
      })

    const typedFailure = (value: E): Effect.Effect<Ended> =>
      Effect.matchEffect(encodeError(value), {
        onFailure: () => failed(failure.make("die", value)),
        onSuccess: (encoded) =>
          Either.match(Json.stringify(encoded, largest), {
            onLeft: () => failed(failure.make("die", value)),
            onRight: () => failed(failure.make("fail", value, encoded), value)
          })
      })

    const encodeSuccess = (value: S): Effect.Effect<string | null, Refused> =>
      Effect.flatMap(
        Effect.mapError(encodeResult(value), (issue) => new Refused(parseIssue.describe(issue))),
        (encoded) =>
          encoded === undefined
            ? Effect.succeed(null)
            : Either.mapLeft(Json.stringify(encoded, largest), (refusal) => new Refused(refusal))
      )

    const fromCause = (cause: Cause.Cause<E | Halt>): Effect.Effect<Ended> => {
      const reason = lent.reason()
      if (reason === "timeout") {
        return failed(failure.stated("timeout", "TimeoutException", `no result within ${timeout} ms`))
      }
      // a job that was cancelled or lost is so however its handler answers the interruption
      if (reason === "cancelled" || reason === "lost" || (reason === "shutdown" && Cause.isInterrupted(cause))) {
        return Effect.succeed({ _tag: "Interrupted" })
      }
      for (const defect of Cause.defects(cause)) {
        if (defect instanceof Control) {
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
      }
      const typed = Cause.failureOption(cause)
      if (Option.isSome(typed)) {
        if (typed.value instanceof Fenced) return Effect.succeed({ _tag: "Fenced" })
        if (typed.value instanceof Refused) {
          const { expected, path } = typed.value.refusal
          return failed(
            failure.stated("die", "ResultError", `the result does not encode: expected "${path}" to be ${expected}`)
          )
        }
        if (typed.value instanceof StorageFailed) return failed(failure.make("die", typed.value.error))
        return typedFailure(typed.value)
      }
      const defect = Cause.dieOption(cause)
      if (Option.isSome(defect)) return failed(failure.make("die", defect.value))
      return failed(failure.stated("interrupted", "InterruptedException", "the handler interrupted itself"))
    }

    const handled = (value: A): Effect.Effect<Ended, E | Halt, Exclude<R, Scope.Scope>> => {
      const result = Effect.flatMap(Effect.scoped(run(value)), encodeSuccess)
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

    const parsed = Json.parse(row.payload)
    if (Either.isLeft(parsed)) return undecodable(parsed.left)
    return Effect.matchCauseEffect(Effect.interruptible(Effect.suspend(() => decodePayload(parsed.right))), {
      onFailure: (cause) =>
        Cause.isInterrupted(cause)
          ? fromCause(Cause.interrupt(FiberId.none))
          : undecodable(
              Option.match(Cause.failureOption(cause), {
                onNone: () => ({ path: "", expected: "a payload that its schema decodes without throwing" }),
                onSome: parseIssue.describe
              })
            ),
      onSuccess: (value) =>
        Effect.matchCauseEffect(Effect.interruptible(Effect.suspend(() => handled(value))), {
          onFailure: fromCause,
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
