/** One trace over processes: the enqueuer's span rides on the row as W3C trace context. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { ClaimedJob } from "../JobStorage.js"

/** The caller's span as a `traceparent`, or null where there is none. */
export const current: Effect.Effect<string | null> = Effect.map(
  Effect.option(Effect.currentSpan),
  Option.match({
    onNone: () => null,
    onSome: (span) =>
      `00-${span.traceId.padStart(32, "0")}-${span.spanId.padStart(16, "0")}-${span.sampled ? "01" : "00"}`
  })
)

/** Runs the attempt in a span under the enqueuer's. A job enqueued outside any span costs no span either. */
export const continued =
  (row: ClaimedJob) =>
  <A, E, R>(attempt: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
    if (row.traceparent === null) return attempt
    const [, traceId, spanId, flags] = row.traceparent.split("-")
    if (traceId === undefined || spanId === undefined) return attempt
    return Effect.withParentSpan(
      Effect.withSpan(attempt, `dbjobq ${row.name}`, {
        kind: "consumer",
        captureStackTrace: false,
        attributes: { "job.id": row.id, "job.name": row.name, "job.queue": row.queue, "job.attempt": row.attempt }
      }),
      Tracer.externalSpan({ traceId, spanId, sampled: flags !== "00" })
    )
  }
