/**
 * Every error this library fails with. All are tagged, none carries a payload value.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Failure from "./Failure.js"

/**
 * The storage could not do what was asked. `isTransient` says whether asking again may help (a lost connection, a
 * locked file, a deadlock); the library itself retries transient errors with backoff before it gives this one out.
 *
 * @since 0.1.0
 * @category errors
 */
export class StorageError extends Schema.TaggedError<StorageError>("dbjobq/StorageError")("StorageError", {
  /** The operation of the storage seam, for example `claim`. */
  operation: Schema.String,
  message: Schema.String,
  isTransient: Schema.Boolean,
  cause: Schema.optional(Schema.Defect)
}) {}

/**
 * A payload that its job's schema refuses, that is not plain JSON, or that is over the size cap. Nothing was written.
 *
 * @since 0.1.0
 * @category errors
 */
export class PayloadError extends Schema.TaggedError<PayloadError>("dbjobq/PayloadError")("PayloadError", {
  job: Schema.String,
  /** Where in the payload, for example `to.address`; empty for the payload as a whole. */
  path: Schema.String,
  /** The rule that was broken, for example `string` or `at most 262144 bytes`. Never the offending value. */
  expected: Schema.String,
  /** The item's place in the batch, for `enqueueAll`. */
  index: Schema.optional(Schema.Number)
}) {
  override get message(): string {
    const at = this.path === "" ? "the payload" : `"${this.path}"`
    return `${this.job}: expected ${at} to be ${this.expected}${this.index === undefined ? "" : ` (item ${this.index})`}`
  }

  /** @internal */
  at(index: number): PayloadError {
    return new PayloadError({ job: this.job, path: this.path, expected: this.expected, index })
  }
}

/**
 * A stored result or typed error that the job's schemas can no longer decode.
 *
 * @since 0.1.0
 * @category errors
 */
export class ResultError extends Schema.TaggedError<ResultError>("dbjobq/ResultError")("ResultError", {
  job: Schema.String,
  id: Schema.String,
  path: Schema.String,
  expected: Schema.String
}) {
  override get message(): string {
    const at = this.path === "" ? "it" : `"${this.path}"`
    return `${this.job} ${this.id}: the stored result does not decode: expected ${at} to be ${this.expected}`
  }
}

/**
 * No job has this id (it never existed, was removed, or was pruned), or it belongs to another job name.
 *
 * @since 0.1.0
 * @category errors
 */
export class JobNotFound extends Schema.TaggedError<JobNotFound>("dbjobq/JobNotFound")("JobNotFound", {
  id: Schema.String
}) {
  override get message(): string {
    return `no job has the id ${this.id}`
  }
}

/**
 * No schedule has this id.
 *
 * @since 0.1.0
 * @category errors
 */
export class ScheduleNotFound extends Schema.TaggedError<ScheduleNotFound>("dbjobq/ScheduleNotFound")(
  "ScheduleNotFound",
  { id: Schema.String }
) {
  override get message(): string {
    return `no schedule has the id ${this.id}`
  }
}

/**
 * The job ended as failed for a reason that is not its own typed error: a defect, a timeout, a crash, an undecodable
 * payload, or `Job.discard`.
 *
 * @since 0.1.0
 * @category errors
 */
export class JobFailed extends Schema.TaggedError<JobFailed>("dbjobq/JobFailed")("JobFailed", {
  id: Schema.String,
  failure: Failure.Encoded
}) {
  override get message(): string {
    return `job ${this.id} failed (${this.failure.kind}): ${this.failure.message}`
  }
}

/**
 * The job was cancelled.
 *
 * @since 0.1.0
 * @category errors
 */
export class JobCancelled extends Schema.TaggedError<JobCancelled>("dbjobq/JobCancelled")("JobCancelled", {
  id: Schema.String
}) {
  override get message(): string {
    return `job ${this.id} was cancelled`
  }
}

/**
 * An option outside its rule. Constructors of plain values throw it; effects fail with it.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidOption extends Schema.TaggedError<InvalidOption>("dbjobq/InvalidOption")("InvalidOption", {
  field: Schema.String,
  rule: Schema.String,
  /** The item's place in the batch, for `enqueueAll`. */
  index: Schema.optional(Schema.Number)
}) {
  override get message(): string {
    return `${this.field}: ${this.rule}${this.index === undefined ? "" : ` (item ${this.index})`}`
  }

  /** @internal */
  at(index: number): InvalidOption {
    return new InvalidOption({ field: this.field, rule: this.rule, index })
  }
}

/**
 * A recurrence that cannot be: which field breaks which rule, never the text itself.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidRecurrence extends Schema.TaggedError<InvalidRecurrence>("dbjobq/InvalidRecurrence")(
  "InvalidRecurrence",
  {
    /** `second`, `minute`, `hour`, `dayOfMonth`, `month`, `dayOfWeek`, `expression`, `timezone`, `duration`, `anchor` or `text`. */
    field: Schema.String,
    rule: Schema.String
  }
) {
  override get message(): string {
    return `${this.field}: ${this.rule}`
  }
}
