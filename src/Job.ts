/**
 * Job definitions, their handlers, and what a handler can see and say.
 *
 * @since 0.1.0
 */
import * as Brand from "effect/Brand"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Failure from "./Failure.js"
import * as Backoff from "./internal/backoff.js"
import * as failure from "./internal/failure.js"
import * as Json from "./internal/json.js"
import * as option from "./internal/option.js"
import * as parseIssue from "./internal/parseIssue.js"
import { JobFailed, PayloadError, ResultError, StorageError } from "./JobError.js"
import { type ClaimedJob, type JobRow, Transactional } from "./JobStorage.js"

/**
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: TypeId = "~dbjobq/Job"

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = "~dbjobq/Job"

/**
 * A job's id, branded with the job's name: the id of one job does not fit where another's is asked for.
 *
 * @since 0.1.0
 * @category models
 */
export type Id<Name extends string> = string &
  Brand.Brand<"~dbjobq/Job/Id"> & {
    readonly "~dbjobq/Job/Id/name"?: (_: Name) => Name
  }

/**
 * The handler of the job with this name, as a requirement of a worker. Invariant in the name.
 *
 * @since 0.1.0
 * @category models
 */
export interface Handler<in out Name extends string> {
  readonly "~dbjobq/Job/Handler": (_: Name) => Name
}

/**
 * How the engine reads and writes a job's values, with the types closed over.
 *
 * @internal
 */
export interface Codec {
  readonly encodePayload: (
    payload: unknown
  ) => Effect.Effect<{ readonly text: string; readonly uniqueKey: string | undefined }, PayloadError>
}

/**
 * How an attempt ended.
 *
 * @internal
 */
export type Ended =
  | { readonly _tag: "Success"; readonly result: string | null }
  | { readonly _tag: "Settled" }
  | { readonly _tag: "Fenced" }
  | { readonly _tag: "Snooze"; readonly delay: number }
  | { readonly _tag: "Failure"; readonly failure: Failure.Encoded; readonly retryIn: number | undefined }

/**
 * What a handler layer puts into the context: the definition it was made from, and one attempt at a row.
 *
 * @internal
 */
export interface HandlerService {
  readonly job: Any
  /** Never fails except with the interruption of the fiber; `complete` is the settlement a transactional handler commits. */
  readonly attempt: (
    row: ClaimedJob,
    complete: (result: string | null) => Effect.Effect<boolean, StorageError>
  ) => Effect.Effect<Ended, never, CurrentJob>
}

/**
 * Where a worker finds the handler of a job.
 *
 * @internal
 */
export const handlerTag = <Name extends string>(name: Name): Context.Tag<Handler<Name>, HandlerService> =>
  Context.GenericTag<Handler<Name>, HandlerService>(`dbjobq/Job/Handler/${name}`)

/**
 * What a schema of a job may be: no services needed, JSON on its encoded side (checked when a value is encoded).
 *
 * @since 0.1.0
 * @category models
 */
export type AnySchema = Schema.Schema.AnyNoContext | Schema.Schema<never, never>

/**
 * A job definition: a plain value, shared by producers and workers.
 *
 * @since 0.1.0
 * @category models
 */
export interface Job<
  Name extends string,
  Payload extends Schema.Schema.All,
  Success extends AnySchema,
  Error extends AnySchema
> {
  readonly [TypeId]: TypeId
  readonly name: Name
  readonly payloadSchema: Payload
  readonly successSchema: Success
  readonly errorSchema: Error
  readonly queue: string
  readonly priority: number
  /** Retries after the first attempt. */
  readonly retries: number
  /** Milliseconds, or undefined for none. */
  readonly timeout: number | undefined
  /** @internal */
  readonly codec: Codec

  /**
   * The job's implementation as a Layer: a function of the payload, or an Effect that makes one (to acquire services
   * once). A `transactional` handler runs inside one transaction of the storage's database together with the job's
   * completion: both commit or neither does. It needs a storage that can, or the program does not compile. On SQLite
   * that transaction holds the one connection, so such a handler must end well within the worker's lease.
   */
  readonly toLayer: {
    <R, const T extends boolean = false>(
      handler: (
        payload: Schema.Schema.Type<Payload>
      ) => Effect.Effect<Schema.Schema.Type<Success>, Schema.Schema.Type<Error>, R>,
      options?: { readonly transactional?: T | undefined }
    ): Layer.Layer<
      Handler<Name>,
      never,
      Exclude<R, CurrentJob | Scope.Scope> | (true extends T ? Transactional : never)
    >
    <R, EX, RX, const T extends boolean = false>(
      build: Effect.Effect<
        (
          payload: Schema.Schema.Type<Payload>
        ) => Effect.Effect<Schema.Schema.Type<Success>, Schema.Schema.Type<Error>, R>,
        EX,
        RX
      >,
      options?: { readonly transactional?: T | undefined }
    ): Layer.Layer<
      Handler<Name>,
      EX,
      Exclude<RX, Scope.Scope> | Exclude<R, CurrentJob | Scope.Scope> | (true extends T ? Transactional : never)
    >
  }
}

/**
 * Any job, for constraints.
 *
 * @since 0.1.0
 * @category models
 */
export interface Any {
  readonly [TypeId]: TypeId
  readonly name: string
  readonly payloadSchema: Schema.Schema.All
  readonly successSchema: AnySchema
  readonly errorSchema: AnySchema
  readonly queue: string
  readonly priority: number
  readonly retries: number
  readonly timeout: number | undefined
  /** @internal */
  readonly codec: Codec
}

/**
 * @since 0.1.0
 * @category type helpers
 */
export type Payload<J extends Any> = Schema.Schema.Type<J["payloadSchema"]>

/**
 * @since 0.1.0
 * @category type helpers
 */
export type Success<J extends Any> = Schema.Schema.Type<J["successSchema"]>

/**
 * @since 0.1.0
 * @category type helpers
 */
export type Error<J extends Any> = Schema.Schema.Type<J["errorSchema"]>

/**
 * The handlers that a worker of these jobs needs.
 *
 * @since 0.1.0
 * @category type helpers
 */
export type ToHandler<J extends Any> = J extends Any ? Handler<J["name"]> : never

/**
 * Marks a string, for example one read from a URL, as an id of this job. Nothing is looked up.
 *
 * @since 0.1.0
 * @category constructors
 */
export const id = <J extends Any>(_job: J, value: string): Id<J["name"]> => Brand.nominal<Id<J["name"]>>()(value)

/**
 * @since 0.1.0
 * @category guards
 */
export const isJob = (value: unknown): value is Any => Predicate.hasProperty(value, TypeId)

// ---------------------------------------------------------------------------------------------------------------------
// inside a handler
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The job a handler is running.
 *
 * @since 0.1.0
 * @category context
 */
export class CurrentJob extends Context.Tag("dbjobq/Job/CurrentJob")<
  CurrentJob,
  {
    /** Stable over all attempts: fit for an idempotency key. */
    readonly id: string
    readonly name: string
    readonly queue: string
    /** 1 for the first attempt. */
    readonly attempt: number
    readonly maxAttempts: number
    /** Epoch milliseconds. */
    readonly enqueuedAt: number
    /** Records how far the job is, from 0 to 1. Does nothing once the job is no longer held. */
    readonly progress: (fraction: number, message?: string) => Effect.Effect<void, StorageError>
  }
>() {}

/** A control outcome travels as a defect, so that a handler's own error handling does not swallow it. */
class Control {
  readonly outcome:
    | { readonly to: "snooze"; readonly delay: number }
    | { readonly to: "discard"; readonly reason: string }
  constructor(outcome: Control["outcome"]) {
    this.outcome = outcome
  }
}

/**
 * Ends the attempt and runs the job again after the duration, without using up an attempt. Passes the handler's own
 * `catchAll`; `sandbox` still sees it.
 *
 * @since 0.1.0
 * @category control
 */
export const snooze = (duration: Duration.DurationInput): Effect.Effect<never, never, CurrentJob> =>
  Effect.flatMap(CurrentJob, () => {
    const delay = option.millis("duration", duration)
    return Effect.die(typeof delay === "number" ? new Control({ to: "snooze", delay }) : delay)
  })

/**
 * Ends the job as failed (kind `discarded`) without further retries.
 *
 * @since 0.1.0
 * @category control
 */
export const discard = (reason: string): Effect.Effect<never, never, CurrentJob> =>
  Effect.flatMap(CurrentJob, () => Effect.die(new Control({ to: "discard", reason })))

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * @since 0.1.0
 * @category models
 */
export interface Retry<E> {
  /** Retries after the first attempt, always a cap. Default 3. */
  readonly times?: number | undefined
  /**
   * When to try again, given the failure; it may stop early. Default: exponential from 1 s, factor 2, full jitter,
   * capped at 1 h. It is replayed to its n-th step for the n-th retry, with the latest failure as every input.
   */
  readonly schedule?: Schedule.Schedule<unknown, Failure.Failure<E>> | undefined
  /** Whether this typed error is worth a retry. Defects, timeouts and crashes are retried within `times` anyway. */
  readonly while?: ((error: E) => boolean) | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Options<PayloadType, PayloadInput, S extends AnySchema, E extends AnySchema> {
  /** Fields of a struct, or a schema. Default: no payload. */
  readonly payload?: PayloadInput | undefined
  /** Default `Schema.Void`. */
  readonly success?: S | undefined
  /** Default `Schema.Never`. */
  readonly error?: E | undefined
  /** Default `"default"`. */
  readonly queue?: string | undefined
  /** Higher first, int32. Default 0. */
  readonly priority?: number | undefined
  readonly retry?: Retry<Schema.Schema.Type<E>> | undefined
  /** An attempt that takes longer is interrupted and counts as failed. Default none. */
  readonly timeout?: Duration.DurationInput | undefined
  /** While a job with this key is unfinished, enqueueing another answers its id. Undefined: not unique. Default none. */
  readonly uniqueKey?: ((payload: PayloadType) => string | undefined) | undefined
}

/** Largest payload, in bytes of JSON. */
const maxPayload = 262_144
/** Largest result or typed error, in bytes of JSON. */
const maxResult = 1_048_576
const maxUniqueKey = 1_000

/**
 * Defines a job.
 *
 * @example
 * ```ts
 * import { Job } from "dbjobq"
 * import { Schema } from "effect"
 *
 * export const SendEmail = Job.make("SendEmail", {
 *   payload: { to: Schema.String, subject: Schema.String },
 *   priority: 10,
 *   retry: { times: 5 },
 *   timeout: "30 seconds",
 *   uniqueKey: ({ to, subject }) => `${to}/${subject}`
 * })
 * ```
 *
 * Throws `InvalidOption` for a name, queue, priority, retry count or timeout outside its rule.
 *
 * @since 0.1.0
 * @category constructors
 */
export function make<
  const Name extends string,
  P extends AnySchema,
  S extends AnySchema = typeof Schema.Void,
  E extends AnySchema = typeof Schema.Never
>(name: Name, options: Options<Schema.Schema.Type<P>, P, S, E> & { readonly payload: P }): Job<Name, P, S, E>
/**
 * @since 0.1.0
 * @category constructors
 */
export function make<
  const Name extends string,
  F extends Schema.Struct.Fields = {},
  S extends AnySchema = typeof Schema.Void,
  E extends AnySchema = typeof Schema.Never
>(name: Name, options?: Options<Schema.Simplify<Schema.Struct.Type<F>>, F, S, E>): Job<Name, Schema.Struct<F>, S, E>
export function make<A, E>(
  name: string,
  options: {
    readonly payload?: Schema.Schema.All | Schema.Struct.Fields | undefined
    readonly success?: AnySchema | undefined
    readonly error?: AnySchema | undefined
    readonly queue?: string | undefined
    readonly priority?: number | undefined
    readonly retry?: Retry<E> | undefined
    readonly timeout?: Duration.DurationInput | undefined
    readonly uniqueKey?: ((payload: A) => string | undefined) | undefined
  } = {}
): Any {
  const { error = Schema.Never, payload = {}, priority = 0, queue = "default", success = Schema.Void } = options
  const retries = options.retry?.times ?? 3
  option.orThrow(option.name("name", name))
  option.orThrow(option.name("queue", queue))
  option.orThrow(option.priority("priority", priority))
  option.orThrow(option.int("retry.times", retries, 0, 1_000_000))
  const timeout = options.timeout === undefined ? undefined : option.millisOrThrow("timeout", options.timeout, 1)

  const payloadSchema: Schema.Schema.All = isSchema(payload) ? payload : Schema.Struct(payload)
  // the overloads tie A and E to these very schemas; rebuilding from the syntax tree states it without a cast
  const payloadOf = Schema.make<A, unknown>(payloadSchema.ast)
  const errorOf = Schema.make<E, unknown>(error.ast)
  const successOf = <S>() => Schema.make<S, unknown>(success.ast)

  const job = {
    [TypeId]: TypeId,
    name,
    payloadSchema,
    successSchema: success,
    errorSchema: error,
    queue,
    priority,
    retries,
    timeout,
    codec: {
      encodePayload: payloadEncoder(name, payloadOf, options.uniqueKey)
    },
    toLayer: <S, R, EX, RX>(
      build:
        | Handle<A, S, E, R | CurrentJob | Scope.Scope>
        | Effect.Effect<Handle<A, S, E, R | CurrentJob | Scope.Scope>, EX, RX>,
      layerOptions?: { readonly transactional?: boolean | undefined }
    ) =>
      Layer.scoped(
        handlerTag(name),
        Effect.gen(function* () {
          const handle = Effect.isEffect(build) ? yield* build : build
          const context = yield* Effect.context<R>()
          const transactional = layerOptions?.transactional === true ? yield* Transactional : undefined
          return {
            job,
            attempt: makeAttempt({
              payload: payloadOf,
              success: successOf<S>(),
              error: errorOf,
              timeout,
              retry: options.retry,
              transactional,
              // the attempt's own CurrentJob and Scope are in the fiber's context already and win over the layer's
              run: (value: A) =>
                Effect.mapInputContext(handle(value), (own: Context.Context<CurrentJob | Scope.Scope>) =>
                  Context.merge(context, own)
                )
            })
          }
        })
      )
  }
  return job
}

// ---------------------------------------------------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------------------------------------------------

const isSchema = (value: Schema.Schema.All | Schema.Struct.Fields): value is Schema.Schema.All => Schema.isSchema(value)

type Handle<A, S, E, R> = (payload: A) => Effect.Effect<S, E, R>

// the parsers are made once a definition, not once a job: making one costs more than running it
const payloadEncoder = <A>(
  job: string,
  schema: Schema.Schema<A, unknown>,
  uniqueKey: ((payload: A) => string | undefined) | undefined
): Codec["encodePayload"] => {
  const refused = (refusal: Json.Refusal) => new PayloadError({ job, ...refusal })
  const unparsed = (issue: ParseResult.ParseIssue) => refused(parseIssue.describe(issue))
  const validate = ParseResult.validate(schema)
  const encode = ParseResult.encode(schema)
  const keyOf = (payload: A): Either.Either<string | undefined, PayloadError> => {
    if (uniqueKey === undefined) return Either.right(undefined)
    const key = Either.try({
      try: () => uniqueKey(payload),
      catch: () => refused({ path: "uniqueKey", expected: "a function that does not throw" })
    })
    const ok = (text: string | undefined) =>
      text === undefined ||
      (text.length > 0 && text.length <= maxUniqueKey && !text.includes("\u0000") && isWellFormed(text))
    return Either.filterOrLeft(key, ok, () =>
      refused({ path: "uniqueKey", expected: `1 to ${maxUniqueKey} well-formed characters without NUL` })
    )
  }
  return (value) =>
    Effect.flatMap(Effect.mapError(validate(value ?? {}), unparsed), (payload) =>
      Effect.flatMap(Effect.mapError(encode(payload), unparsed), (encoded) =>
        Either.flatMap(Either.mapLeft(Json.stringify(encoded, maxPayload), refused), (text) =>
          Either.map(keyOf(payload), (key) => ({ text, uniqueKey: key }))
        )
      )
    )
}

/** Whether every surrogate has its other half: some databases refuse text that has not. */
const isWellFormed = (text: string): boolean => {
  try {
    encodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

const storedFailure = Schema.decodeUnknownEither(Schema.parseJson(Failure.Encoded))

/**
 * What a finished row says in the job's own types.
 *
 * @internal
 */
export const decodeEnd = <J extends Any>(
  job: J,
  row: JobRow
): Effect.Effect<Exit.Exit<Success<J>, Error<J> | JobFailed>, ResultError> => {
  const unreadable = (refusal: Json.Refusal) => new ResultError({ job: job.name, id: row.id, ...refusal })
  const decode = <T>(schema: Schema.Schema<T, unknown>, value: unknown) =>
    Effect.mapError(ParseResult.decodeUnknown(schema)(value), (issue) => unreadable(parseIssue.describe(issue)))
  if (row.state === "completed") {
    return Effect.flatMap(
      row.result === null ? Either.right(undefined) : Either.mapLeft(Json.parse(row.result), unreadable),
      (value) => Effect.map(decode(Schema.make<Success<J>, unknown>(job.successSchema.ast), value), Exit.succeed)
    )
  }
  const stored = storedFailure(row.failure)
  if (Either.isLeft(stored)) return Effect.fail(unreadable({ path: "failure", expected: "a stored failure" }))
  return stored.right.kind === "fail"
    ? Effect.map(decode(Schema.make<Error<J>, unknown>(job.errorSchema.ast), stored.right.error), Exit.fail)
    : Effect.succeed(Exit.fail(new JobFailed({ id: row.id, failure: stored.right })))
}

interface Attempt<A, S, E> {
  readonly payload: Schema.Schema<A, unknown>
  readonly success: Schema.Schema<S, unknown>
  readonly error: Schema.Schema<E, unknown>
  readonly timeout: number | undefined
  readonly retry: Retry<E> | undefined
  readonly transactional: Context.Tag.Service<typeof Transactional> | undefined
  readonly run: (payload: A) => Effect.Effect<S, E, CurrentJob | Scope.Scope>
}

const makeAttempt = <A, S, E>({
  error,
  payload,
  retry,
  run,
  success,
  timeout,
  transactional
}: Attempt<A, S, E>): HandlerService["attempt"] => {
  const decodePayload = ParseResult.decodeUnknown(payload)
  const encodeResult = ParseResult.encode(success)
  const encodeError = ParseResult.encode(error)
  return (row, complete) => {
    const ended = (stored: Failure.Encoded, typed?: E): Effect.Effect<Ended> => {
      const final =
        row.attempt >= row.maxAttempts ||
        (stored.kind === "fail" && typed !== undefined && retry?.while?.(typed) === false)
      if (final) return Effect.succeed({ _tag: "Failure", failure: stored, retryIn: undefined })
      const input = { kind: stored.kind, name: stored.name, message: stored.message, error: typed }
      return Effect.map(
        retry?.schedule === undefined
          ? Backoff.standard(row.attempt)
          : Backoff.replay(retry.schedule, row.attempt, input),
        (retryIn) => ({ _tag: "Failure", failure: stored, retryIn })
      )
    }
    const parked = (refusal: Json.Refusal): Ended => ({
      _tag: "Failure",
      failure: failure.stated("undecodable", "PayloadError", `expected "${refusal.path}" to be ${refusal.expected}`),
      retryIn: undefined
    })
    const typedFailure = (value: E): Effect.Effect<Ended> =>
      Effect.matchEffect(encodeError(value), {
        onFailure: () => ended(failure.make("die", value)),
        onSuccess: (encoded) =>
          Either.match(Json.stringify(encoded, maxResult), {
            onLeft: () => ended(failure.make("die", value)),
            onRight: () => ended(failure.make("fail", value, encoded), value)
          })
      })
    const encodeSuccess = (value: S): Effect.Effect<string | null, Refused> =>
      Effect.flatMap(
        Effect.mapError(encodeResult(value), (issue) => new Refused(parseIssue.describe(issue))),
        (encoded) =>
          encoded === undefined
            ? Effect.succeed(null)
            : Either.mapLeft(Json.stringify(encoded, maxResult), (refusal) => new Refused(refusal))
      )
    const fromCause = (cause: Cause.Cause<E | Halt>): Effect.Effect<Ended> => {
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
      const failed = Cause.failureOption(cause)
      if (Option.isSome(failed)) {
        if (failed.value instanceof TimedOut)
          return ended(failure.stated("timeout", "TimeoutException", `no result within ${timeout} ms`))
        if (failed.value instanceof Fenced) return Effect.succeed({ _tag: "Fenced" })
        if (failed.value instanceof Refused) {
          const { expected, path } = failed.value.refusal
          return ended(
            failure.stated("die", "ResultError", `the result does not encode: expected "${path}" to be ${expected}`)
          )
        }
        if (failed.value instanceof StorageFailed) return ended(failure.make("die", failed.value.error))
        return typedFailure(failed.value)
      }
      const defect = Cause.dieOption(cause)
      if (Option.isSome(defect)) return ended(failure.make("die", defect.value))
      return ended(failure.stated("interrupted", "InterruptedException", "the handler interrupted itself"))
    }

    const handled = (value: A): Effect.Effect<Ended, E | Halt, CurrentJob> => {
      const result = Effect.flatMap(Effect.scoped(run(value)), encodeSuccess)
      const bounded = <T, X>(effect: Effect.Effect<T, X, CurrentJob>) =>
        timeout === undefined
          ? effect
          : Effect.timeoutFail(effect, { duration: timeout, onTimeout: () => new TimedOut() })
      if (transactional === undefined) {
        return Effect.map(bounded(result), (text): Ended => ({ _tag: "Success", result: text }))
      }
      // the completion commits with the handler's own writes; refusing it here rolls both back
      const settled = Effect.flatMap(bounded(result), (text) =>
        Effect.flatMap(
          Effect.mapError(complete(text), (cause) => new StorageFailed(cause)),
          (accepted) => (accepted ? Effect.succeed<Ended>({ _tag: "Settled" }) : Effect.fail(new Fenced()))
        )
      )
      return Effect.mapError(transactional.withTransaction(settled), (cause) =>
        cause instanceof StorageError ? new StorageFailed(cause) : cause
      )
    }

    const parsed = Json.parse(row.payload)
    if (Either.isLeft(parsed)) return Effect.succeed(parked(parsed.left))
    return Effect.matchEffect(decodePayload(parsed.right), {
      onFailure: (issue) => Effect.succeed(parked(parseIssue.describe(issue))),
      onSuccess: (value) =>
        Effect.catchAllCause(
          Effect.suspend(() => handled(value)),
          fromCause
        )
    })
  }
}

/** Ends an attempt for a reason that is not the handler's typed error. */
type Halt = TimedOut | Fenced | Refused | StorageFailed

class TimedOut {
  readonly _tag = "~dbjobq/TimedOut"
}
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
