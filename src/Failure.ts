/**
 * Why an attempt did not complete, as it is stored on the job's row.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * - `fail`: the handler failed with the job's typed error
 * - `die`: the handler threw, or died with a defect
 * - `timeout`: the job's `timeout` ran out
 * - `interrupted`: the handler interrupted itself
 * - `crashed`: the worker process vanished and the lease ran out
 * - `undecodable`: the stored payload does not decode under the job's schema
 * - `discarded`: the handler called `Job.discard`
 *
 * @since 0.1.0
 * @category models
 */
export const Kind = Schema.Literal("fail", "die", "timeout", "interrupted", "crashed", "undecodable", "discarded")

/**
 * One of the kinds.
 *
 * @since 0.1.0
 * @category models
 */
export type Kind = typeof Kind.Type

/**
 * The stored shape. `error` is the typed error as the job's `error` schema encodes it.
 *
 * @since 0.1.0
 * @category models
 */
export const Encoded = Schema.Struct({
  v: Schema.Literal(1),
  kind: Kind,
  /** The error's tag or class name. */
  name: Schema.String,
  message: Schema.String,
  stack: Schema.optional(Schema.String),
  error: Schema.optional(Schema.Unknown)
})

/**
 * The stored shape.
 *
 * @since 0.1.0
 * @category models
 */
export type Encoded = typeof Encoded.Type

/**
 * A failure with its typed error decoded, as retry policies see it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Failure<out E> {
  readonly kind: Kind
  readonly name: string
  readonly message: string
  /** Present only when `kind` is `"fail"`. */
  readonly error?: E | undefined
}
