/** A worker's options with their defaults, checked once. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { InvalidOption } from "../../JobError.js"
import * as option from "../option.js"

export interface WorkerOptions {
  /** Jobs run at the same time, in all. Default 10. */
  readonly concurrency?: number | undefined
  /** Tighter limits for single queues. */
  readonly queues?: { readonly [queue: string]: { readonly concurrency: number } } | undefined
  /** How long an idle worker waits before it looks again, at first. Default 1 second. */
  readonly pollInterval?: Duration.DurationInput | undefined
  /** The wait grows by half up to this while nothing is found. Default 10 seconds. */
  readonly maxPollInterval?: Duration.DurationInput | undefined
  /** How long a job stays with a worker that gives no sign of life; renewed at a third of it. Default 30 seconds. */
  readonly lease?: Duration.DurationInput | undefined
  /** How long running jobs may go on after a stop before they are interrupted. Default 30 seconds. */
  readonly shutdownTimeout?: Duration.DurationInput | undefined
  /** How often expired leases and old rows are looked for. Default half the lease. */
  readonly sweepInterval?: Duration.DurationInput | undefined
  /**
   * How long the scheduler sleeps at most where it may miss that a schedule changed; it wakes for the next slot it knows
   * of, and for changes it is told of, in any case. Default 60 seconds.
   */
  readonly schedulePollInterval?: Duration.DurationInput | undefined
  /**
   * Jobs claimed ahead of free slots, at most, while they are short: a quarter of a second's worth. Their leases are renewed
   * too. A job that is lost with its worker has used up an attempt, started or not, so a worker of a job that is defined
   * without retries claims nothing ahead. Default 1,500.
   */
  readonly prefetch?: number | undefined
  /** A job whose process vanished this often in one generation ends as failed. Default 3. */
  readonly crashLimit?: number | undefined
  /** How long finished jobs are kept; Infinity for ever. Default 7 days completed, 30 days failed and cancelled. */
  readonly retention?:
    | {
        readonly completed?: Duration.DurationInput | undefined
        readonly failed?: Duration.DurationInput | undefined
        readonly cancelled?: Duration.DurationInput | undefined
      }
    | undefined
  /** Whether it starts at once. Default true. */
  readonly autoStart?: boolean | undefined
}

export interface Settings {
  readonly concurrency: number
  readonly queues: ReadonlyMap<string, number>
  readonly pollInterval: number
  readonly maxPollInterval: number
  readonly lease: number
  readonly shutdownTimeout: number
  readonly sweepInterval: number
  readonly schedulePollInterval: number
  readonly prefetch: number
  readonly crashLimit: number
  readonly retention: { readonly [S in "completed" | "failed" | "cancelled"]: number | undefined }
  readonly autoStart: boolean
}

const int = (field: string, value: number, min: number, max: number): Effect.Effect<number, InvalidOption> => {
  const refusal = option.int(field, value, min, max)
  return refusal === undefined ? Effect.succeed(value) : Effect.fail(refusal)
}

const millis = (field: string, value: Duration.DurationInput, min: number): Effect.Effect<number, InvalidOption> => {
  const checked = option.millis(field, value, min)
  return typeof checked === "number" ? Effect.succeed(checked) : Effect.fail(checked)
}

const isForever = (value: Duration.DurationInput): boolean =>
  value === Number.POSITIVE_INFINITY ||
  (typeof value === "object" && "value" in value && value.value._tag === "Infinity")

const kept = (field: string, value: Duration.DurationInput) =>
  isForever(value) ? Effect.succeed(undefined) : millis(field, value, 0)

export const settings = (options: WorkerOptions): Effect.Effect<Settings, InvalidOption> =>
  Effect.gen(function* () {
    const queues = new Map<string, number>()
    for (const [queue, { concurrency }] of Object.entries(options.queues ?? {})) {
      const refusal = option.name(`queues.${queue}`, queue)
      if (refusal !== undefined) return yield* refusal
      queues.set(queue, yield* int(`queues.${queue}.concurrency`, concurrency, 1, 10_000))
    }
    const lease = yield* millis("lease", options.lease ?? "30 seconds", 1_000)
    const pollInterval = yield* millis("pollInterval", options.pollInterval ?? "1 second", 1)
    const maxPollInterval = yield* millis(
      "maxPollInterval",
      options.maxPollInterval ?? Math.max(10_000, pollInterval),
      1
    )
    if (maxPollInterval < pollInterval) {
      return yield* new InvalidOption({ field: "maxPollInterval", rule: "must not be shorter than pollInterval" })
    }
    return {
      concurrency: yield* int("concurrency", options.concurrency ?? 10, 1, 10_000),
      queues,
      pollInterval,
      maxPollInterval,
      lease,
      shutdownTimeout: yield* millis("shutdownTimeout", options.shutdownTimeout ?? "30 seconds", 0),
      sweepInterval: yield* millis("sweepInterval", options.sweepInterval ?? lease / 2, 1),
      schedulePollInterval: yield* millis("schedulePollInterval", options.schedulePollInterval ?? "60 seconds", 1),
      prefetch: yield* int("prefetch", options.prefetch ?? 1_500, 0, 10_000),
      crashLimit: yield* int("crashLimit", options.crashLimit ?? 3, 1, 1_000),
      retention: {
        completed: yield* kept("retention.completed", options.retention?.completed ?? "7 days"),
        failed: yield* kept("retention.failed", options.retention?.failed ?? "30 days"),
        cancelled: yield* kept("retention.cancelled", options.retention?.cancelled ?? "30 days")
      },
      autoStart: options.autoStart ?? true
    }
  })
