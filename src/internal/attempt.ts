/** One attempt at a job: decode the payload, run the handler, and say how it ended. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import type * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import type * as Failure from "../Failure.js"
import { StorageError } from "../JobError.js"
import type { ClaimedJob, Transactional } from "../JobStorage.js"
import { attempted } from "./attempted.js"
import * as Backoff from "./backoff.js"
import * as failure from "./failure.js"
import * as Json from "./json.js"
import * as parseIssue from "./parseIssue.js"
import type { Services } from "./services.js"

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
  readonly current: () => Current
  /** The settlement that a transactional handler commits; answers whether the job was still held. */
  readonly complete: (result: string | null) => Effect.Effect<boolean, StorageError>
  /** Says what limit an attempt broke that took too long; the worker keeps the time, and interrupts. */
  readonly tooLong: () => string
  /** The time begins: said by a handler that has had to wait for its turn. */
  readonly began: () => void
  /** Why the worker interrupted the attempt, if it did. */
  readonly reason: () => Reason | undefined
  /** Largest result or typed error that the storage takes, in bytes of JSON. */
  readonly maxResult: number
  /** Runs the effect in the job's fiber, the one that the worker interrupts: it begins out of reach of interruption. */
  readonly fork: <S, E, R>(
    context: Context.Context<R>,
    effect: Effect.Effect<S, E, R>,
    done: (exit: Exit.Exit<S, E>) => void
  ) => void
  /** Works out how an attempt ended, out of reach of interruption. */
  readonly conclude: (ended: Effect.Effect<Ended>) => void
  /** Called once. */
  readonly ended: (ended: Ended) => void
}

/** Starts an attempt. What goes fast in the usual case is done outside of fibers: a job that does little is all overhead. */
export type Attempt<Current> = (row: ClaimedJob, lent: Lent<Current>) => void

export interface Options<A, S, E, R, Current> {
  readonly payload: Schema.Schema<A, unknown>
  readonly success: Schema.Schema<S, unknown>
  readonly error: Schema.Schema<E, unknown>
  readonly schedule: Schedule.Schedule<unknown, Failure.Failure<E>> | undefined
  readonly retryWhile: ((error: E) => boolean) | undefined
  readonly transactional: Context.Tag.Service<typeof Transactional> | undefined
  readonly handle: (payload: A) => Effect.Effect<S, E, R>
  readonly services: (lent: Lent<Current>) => Services
}

/** Largest result or typed error, in bytes of JSON. */
const maxResult = 1_048_576

/** Ends a fiber that was interrupted where it could not be. */
const interruption = Effect.interruptible(Effect.void)

const nothing: Either.Either<null> = Either.right(null)

/** A control outcome travels as a defect, so that a handler's own error handling does not swallow it. */
export class Control {
  readonly outcome:
    | { readonly to: "snooze"; readonly delay: number }
    | { readonly to: "discard"; readonly reason: string }
  constructor(outcome: Control["outcome"]) {
    this.outcome = outcome
  }
}

export const make = <A, S, E, R, Current>({
  error,
  handle,
  payload,
  retryWhile,
  schedule,
  services: servicesOf,
  success,
  transactional
}: Options<A, S, E, R, Current>): Attempt<Current> => {
  const decodePayload = ParseResult.decodeUnknown(payload)
  const decodePayloadNow = ParseResult.decodeUnknownEither(payload)
  const encodeResult = ParseResult.encode(success)
  const encodeResultNow = ParseResult.encodeEither(success)
  const encodeError = ParseResult.encode(error)
  const isVoid = AST.isVoidKeyword(success.ast)

  const failed = (row: ClaimedJob, stored: Failure.Encoded, typed?: E): Effect.Effect<Ended> => {
    const input = { kind: stored.kind, name: stored.name, message: stored.message, error: typed }
    const retryIn = Effect.suspend(() => {
      const wanted = stored.kind !== "fail" || typed === undefined || retryWhile?.(typed) !== false
      if (!wanted) return Effect.succeed(undefined)
      return schedule === undefined ? Backoff.standard(row.attempt) : Backoff.replay(schedule, row.attempt, input)
    })
    return Effect.map(
      row.attempt >= row.maxAttempts
        ? Effect.succeed(undefined)
        : // a mistake in the rule must not cost the job its attempts
          Effect.catchAllDefect(retryIn, () =>
            Effect.zipRight(
              Effect.logError("dbjobq: the job's own retry rule threw; the default backoff stands in for it"),
              Backoff.standard(row.attempt)
            )
          ),
      (delay) => ({ _tag: "Failure", failure: stored, retryIn: delay })
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
      return failed(row, failure.stated("timeout", "TimeoutException", lent.tooLong()))
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
      const halt = typed.value
      if (halt instanceof Fenced) return Effect.succeed({ _tag: "Fenced" })
      if (halt instanceof Undecodable) {
        return Effect.succeed({
          _tag: "Failure",
          failure: failure.stated("undecodable", "PayloadError", said(halt.refusal)),
          retryIn: undefined
        })
      }
      if (halt instanceof Unencodable) {
        return failed(row, failure.stated("die", "ResultError", `the result does not encode: ${said(halt.refusal)}`))
      }
      if (halt instanceof StorageFailed) return failed(row, failure.make("die", halt.error))
      return typedFailure(row, lent, halt)
    }
    const defect = Cause.dieOption(cause)
    return failed(
      row,
      Option.isSome(defect)
        ? failure.make("die", defect.value)
        : failure.stated("interrupted", "InterruptedException", "the handler interrupted itself")
    )
  }

  const decoded = (json: unknown): Effect.Effect<A, Undecodable> =>
    Effect.catchAllCause(
      Effect.suspend(() => decodePayload(json)),
      (cause) =>
        Cause.isInterrupted(cause)
          ? Effect.interrupt
          : Effect.fail(
              new Undecodable(
                Option.match(Cause.failureOption(cause), {
                  onNone: () => ({ path: "", expected: "a payload that its schema decodes without throwing" }),
                  onSome: parseIssue.describe
                })
              )
            )
    )

  const toText = (lent: Lent<Current>, encoded: unknown): Either.Either<string | null, Unencodable> =>
    encoded === undefined
      ? Either.right(null)
      : Either.mapLeft(Json.stringify(encoded, largest(lent)), (refusal) => new Unencodable(refusal))

  const encodedNow = (lent: Lent<Current>, value: S): Either.Either<string | null, unknown> =>
    Either.flatMap(encodeResultNow(value), (result) => toText(lent, result))

  const encoded = (lent: Lent<Current>, value: S): Effect.Effect<string | null, Unencodable> =>
    Effect.matchEffect(encodeResult(value), {
      onFailure: (issue) => Effect.fail(new Unencodable(parseIssue.describe(issue))),
      onSuccess: (result) => toText(lent, result)
    })

  type Transactions = NonNullable<typeof transactional>

  const inTurn =
    (lent: Lent<Current>, { turn, withTransaction }: Transactions) =>
    <B, E1, R1>(effect: Effect.Effect<B, E1, R1>): Effect.Effect<B, E1 | StorageError, R1> => {
      const transaction = withTransaction(effect)
      return turn === undefined
        ? transaction
        : turn.withPermits(1)(
            Effect.zipRight(
              Effect.sync(() => lent.began()),
              transaction
            )
          )
    }

  // the completion commits with the handler's own writes; refusing it here rolls both back
  const committed = (
    lent: Lent<Current>,
    transactions: Transactions,
    handled: Effect.Effect<S, E, R>
  ): Effect.Effect<S, E | Halt, R> =>
    Effect.mapError(
      inTurn(
        lent,
        transactions
      )(
        Effect.tap(handled, (value) =>
          Effect.flatMap(encoded(lent, value), (text) =>
            Effect.flatMap(
              Effect.mapError(lent.complete(text), (cause) => new StorageFailed(cause)),
              (accepted) => (accepted ? Effect.void : Effect.fail(new Fenced()))
            )
          )
        )
      ),
      (cause) => (cause instanceof StorageError ? new StorageFailed(cause) : cause)
    )

  // while the fibers that the handler has forked are alive, and before a commit
  const closed = (services: Services, exit: Exit.Exit<S, E>): Effect.Effect<S, E> => {
    // an interruption that came meanwhile is heeded then
    if (services.opened) {
      const closing = Effect.onExit(exit, () => services.close(exit))
      return Effect.flatMap(Effect.exit(closing), (over) => Effect.zipRight(interruption, over))
    }
    services.close(exit)
    return exit
  }

  // its fiber starts out of reach of interruption, which costs less than to be so for the end
  const run = (lent: Lent<Current>, services: Services, value: A): Effect.Effect<S, E | Halt, R> => {
    const handled = Effect.suspend(() => handle(value))
    return transactional === undefined
      ? Effect.matchCauseEffect(Effect.interruptible(handled), {
          onFailure: (cause) => closed(services, Exit.failCause(cause)),
          onSuccess: (result) => closed(services, Exit.succeed(result))
        })
      : Effect.interruptible(
          committed(
            lent,
            transactional,
            Effect.onExit(handled, (exit) => services.close(exit))
          )
        )
  }

  const concluded = (row: ClaimedJob, lent: Lent<Current>, exit: Exit.Exit<S, E | Halt>): Effect.Effect<Ended> =>
    Effect.matchCauseEffect(
      Effect.flatMap(exit, (value) => encoded(lent, value)),
      {
        onFailure: (cause) => fromCause(row, lent, cause),
        onSuccess: (result) => Effect.succeed<Ended>({ _tag: "Success", result })
      }
    )

  const done = (row: ClaimedJob, lent: Lent<Current>, services: Services, exit: Exit.Exit<S, E | Halt>): void => {
    // what asked for it before the handler ran: a decoding, or a transaction that did not begin
    if (services.opened) {
      const closing = Effect.exit(Effect.onExit(exit, () => services.close(exit)))
      lent.conclude(Effect.flatMap(closing, (over) => concluded(row, lent, over)))
      return
    }
    services.close(exit)
    if (Exit.isFailure(exit)) {
      lent.conclude(concluded(row, lent, exit))
      return
    }
    if (transactional !== undefined) {
      lent.ended({ _tag: "Settled" })
      return
    }
    // a value's own getters may throw, in the encoding or while it becomes text
    const now = isVoid && exit.value === undefined ? nothing : attempted(() => encodedNow(lent, exit.value))
    if (Either.isRight(now)) lent.ended({ _tag: "Success", result: now.right })
    else lent.conclude(concluded(row, lent, exit))
  }

  return (row, lent) => {
    const services = servicesOf(lent)
    const end = (exit: Exit.Exit<S, E | Halt>): void => done(row, lent, services, exit)
    const now = attempted(() => decodePayloadNow(JSON.parse(row.payload)))
    if (Either.isRight(now)) {
      lent.fork(Context.unsafeMake<R>(services), run(lent, services, now.right), end)
      return
    }
    // what does not decode at once may need services or time to, or not decode at all
    const json = Json.parse(row.payload)
    if (Either.isLeft(json)) {
      end(Exit.fail(new Undecodable(json.left)))
      return
    }
    const body = Effect.flatMap(Effect.interruptible(decoded(json.right)), (value) => run(lent, services, value))
    lent.fork(Context.unsafeMake<R>(services), body, end)
  }
}

const said = (refusal: Json.Refusal): string => `expected "${refusal.path}" to be ${refusal.expected}`

/** Ends an attempt for a reason that is not the handler's typed error. */
type Halt = Fenced | Undecodable | Unencodable | StorageFailed

class Fenced {
  readonly _tag = "~dbjobq/Fenced"
}
class Undecodable {
  readonly _tag = "~dbjobq/Undecodable"
  readonly refusal: Json.Refusal
  constructor(refusal: Json.Refusal) {
    this.refusal = refusal
  }
}
class Unencodable {
  readonly _tag = "~dbjobq/Unencodable"
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
