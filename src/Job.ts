/**
 * Job definitions, their handlers, and what a handler can see and say.
 *
 * @since 0.1.0
 */
import * as Brand from "effect/Brand"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Failure from "./Failure.js"
import * as Attempt from "./internal/attempt.js"
import { Services } from "./internal/services.js"
import * as encodable from "./internal/encodable.js"
import * as option from "./internal/option.js"
import * as PayloadText from "./internal/payload.js"
import { InvalidOption, type PayloadError, type StorageError } from "./JobError.js"
import { Transactional } from "./JobStorage.js"

/**
 * What marks a value as a job definition.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: TypeId = "~dbjobq/Job"

/**
 * The type of `TypeId`.
 *
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
 * What a handler layer puts into the context: the definition it was made from, and one attempt at a row.
 *
 * @internal
 */
export interface HandlerService {
  readonly job: Any
  /** Its transaction keeps the worker from renewing leases, so it must not last. */
  readonly blocksRenewal: boolean
  readonly attempt: Attempt.Attempt<Context.Tag.Service<CurrentJob>>
}

/**
 * Where a worker finds the handler of a job.
 *
 * @internal
 */
export const handlerTag = <Name extends string>(name: Name): Context.Tag<Handler<Name>, HandlerService> =>
  Context.GenericTag<Handler<Name>, HandlerService>(`dbjobq/Job/Handler/${name}`)

/**
 * What a schema of a job may be: no services needed, JSON on its encoded side (checked when the job is defined; what
 * an `unknown` holds, when a value is encoded).
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
  readonly encodePayload: (
    payload: unknown,
    storageLimit: number
  ) => PayloadText.AtOnceOrLater<PayloadText.Encoded, PayloadError>

  /**
   * The job's implementation as a Layer: a function of the payload, or an Effect that makes one (to acquire services
   * once). A `transactional` handler runs inside one transaction of the storage's database together with the job's
   * completion: both commit or neither does. It needs a storage that can, or the program does not compile. On SQLite
   * nothing else is written meanwhile, no lease renewed either: there such a handler times out after a third of the
   * worker's lease, if not sooner.
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
  readonly encodePayload: (
    payload: unknown,
    storageLimit: number
  ) => PayloadText.AtOnceOrLater<PayloadText.Encoded, PayloadError>
}

/**
 * What a job's handler is given, decoded.
 *
 * @since 0.1.0
 * @category type helpers
 */
export type Payload<J extends Any> = Schema.Schema.Type<J["payloadSchema"]>

/**
 * What a job's handler succeeds with, and `JobQueue.join` too.
 *
 * @since 0.1.0
 * @category type helpers
 */
export type Success<J extends Any> = Schema.Schema.Type<J["successSchema"]>

/**
 * What a job's handler may fail with; `JobQueue.join` fails with it once the job has failed for good.
 *
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
export const id = <J extends Any>(_job: J, value: string): Id<J["name"]> => anyId(value)

// made once: to make a constructor costs more than to use it
const anyId = Brand.nominal<string & Brand.Brand<"~dbjobq/Job/Id">>()

/**
 * Whether a value is a job definition.
 *
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
    /** Retries + 1: on the attempt with this number, a failure is final. */
    readonly maxAttempts: number
    /** Epoch milliseconds. */
    readonly enqueuedAt: number
    /** The schedule that fired the job, and the slot in epoch milliseconds: undefined when it was triggered by hand. */
    readonly schedule: { readonly id: string; readonly slot: number | undefined } | undefined
    /**
     * Records how far the job is, from 0 to 1, on its row; the message is cut at 500 characters. Does nothing once the job
     * is no longer held.
     */
    readonly progress: (fraction: number, message?: string) => Effect.Effect<void, StorageError>
  }
>() {}

/**
 * Ends the attempt and runs the job again after the duration, without using up an attempt. Passes the handler's own
 * `catchAll`; `sandbox` still sees it. A transactional handler is rolled back. A duration that is negative or infinite
 * dies with an `InvalidOption`: the attempt fails.
 *
 * @since 0.1.0
 * @category control
 */
export const snooze = (duration: Duration.DurationInput): Effect.Effect<never, never, CurrentJob> =>
  Effect.flatMap(CurrentJob, () => {
    const delay = option.millis("duration", duration)
    return Effect.die(typeof delay === "number" ? new Attempt.Control({ to: "snooze", delay }) : delay)
  })

/**
 * Ends the job as failed (kind `discarded`, `reason` as its message) without further retries. Passes the handler's own
 * `catchAll`, as `snooze` does; a transactional handler is rolled back.
 *
 * @since 0.1.0
 * @category control
 */
export const discard = (reason: string): Effect.Effect<never, never, CurrentJob> =>
  Effect.flatMap(CurrentJob, () => Effect.die(new Attempt.Control({ to: "discard", reason })))

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * When an attempt that failed is tried again.
 *
 * @since 0.1.0
 * @category models
 */
export interface Retry<E> {
  /** Retries after the first attempt, 0 to 1,000,000; always a cap, whatever the schedule says. Default 3. */
  readonly times?: number | undefined
  /**
   * When to try again, given the failure; it may stop early. Default: exponential from 1 s, factor 2, full jitter,
   * capped at 1 h. It is replayed to its n-th step for the n-th retry, with the latest failure as every input; its outputs
   * do not matter.
   */
  readonly schedule?: Schedule.Schedule<unknown, Failure.Failure<E>> | undefined
  /** Whether this typed error is worth a retry. Default: all are. Defects, timeouts and crashes are retried within `times` anyway. */
  readonly while?: ((error: E) => boolean) | undefined
}

/**
 * Options of a job definition.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<PayloadType, PayloadInput, S extends AnySchema, E extends AnySchema> {
  /** Fields of a struct, or a schema. At most 256 KiB of JSON, or less on some storages. Default: no payload. */
  readonly payload?: PayloadInput | undefined
  /** What the handler answers; at most 1 MiB of JSON, or less on some storages. Default `Schema.Void`. */
  readonly success?: S | undefined
  /** What the handler may fail with; the same limit. Default `Schema.Never`: it may only die. */
  readonly error?: E | undefined
  /** 1 to 100 of `A-Z a-z 0-9 _ . : / -`, not beginning with punctuation. Default `"default"`. */
  readonly queue?: string | undefined
  /** Higher first, int32. Default 0. */
  readonly priority?: number | undefined
  /** Default: 3 retries, exponential from 1 second with jitter. */
  readonly retry?: Retry<Schema.Schema.Type<E>> | undefined
  /** At least 1 ms. An attempt that takes longer is interrupted and counts as failed (kind `timeout`). Default none. */
  readonly timeout?: Duration.DurationInput | undefined
  /**
   * 1 to 1,000 characters. While a job of this name with this key is unfinished, enqueueing another adds nothing and
   * answers its id. Undefined: not unique. Default none.
   */
  readonly uniqueKey?: ((payload: PayloadType) => string | undefined) | undefined
}

/**
 * Refuses payload fields whose schemas need services: a worker could not decode the payload.
 *
 * @since 0.1.0
 * @category type helpers
 */
export type NoServices<F extends Schema.Struct.Fields> = [Schema.Struct.Context<F>] extends [never]
  ? unknown
  : { readonly payload: "the schema of a payload must not need services" }

/**
 * Defines a job: a plain value that names it, with the schemas of what goes in and comes out. Its code is another matter
 * (`toLayer`), so a program that only enqueues needs none of it.
 *
 * The name, 1 to 100 of `A-Z a-z 0-9 _ . : / -` and not beginning with punctuation, is what the database knows it by: keep
 * it when the code moves. Schemas change as any stored format does: rows of the old one must still decode.
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
 * Throws `InvalidOption` for a name, queue, priority, retry count or timeout outside its rule, and for a schema whose
 * encoded side is not JSON.
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
 * Defines a job from the fields of its payload, or without a payload.
 *
 * @since 0.1.0
 * @category constructors
 */
export function make<
  const Name extends string,
  F extends Schema.Struct.Fields = {},
  S extends AnySchema = typeof Schema.Void,
  E extends AnySchema = typeof Schema.Never
>(
  name: Name,
  options?: Options<Schema.Simplify<Schema.Struct.Type<F>>, F, S, E> & NoServices<F>
): Job<Name, Schema.Struct<F>, S, E>
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
  for (const [field, schema] of [
    ["payload", payloadSchema],
    ["success", success],
    ["error", error]
  ] as const) {
    const refusal = encodable.refusal(schema.ast)
    if (refusal !== undefined) {
      const at = refusal.path === "" ? field : `${field}.${refusal.path}`
      throw new InvalidOption({ field: at, rule: `must be ${refusal.expected}` })
    }
  }
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
    encodePayload: PayloadText.encoder(name, payloadOf, options.uniqueKey),
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
          const transactions = yield* Effect.serviceOption(Transactional)
          // handlers run long after a transaction that their layer may have been built in
          const context = yield* Option.isSome(transactions)
            ? transactions.value.detached(Effect.context<R>())
            : Effect.context<R>()
          const transactional = layerOptions?.transactional === true ? yield* Transactional : undefined
          return {
            job,
            blocksRenewal: transactional?.turn !== undefined,
            attempt: Attempt.make({
              payload: payloadOf,
              success: successOf<S>(),
              error: errorOf,
              schedule: options.retry?.schedule,
              retryWhile: options.retry?.while,
              transactional,
              handle,
              services: (own) => new Services(context.unsafeMap, CurrentJob.key, own)
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
