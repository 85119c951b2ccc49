/** One trace over processes: the enqueue's span rides on the row as W3C trace context, and the attempt continues it. */
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { ClaimedJob } from "../JobStorage.js"

const native = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/** Whether it is a tracer that the application installed: a span that nobody sees costs as much as a job. */
export const isInstalled = (tracer: Tracer.Tracer): boolean => tracer !== native

export const isTraced: Effect.Effect<boolean> = Effect.map(FiberRef.get(DefaultServices.currentServices), (services) =>
  isInstalled(Context.get(services, Tracer.Tracer))
)

/** An enqueue in a span of its own: `write` is given its fiber, with that span where a tracer is installed. */
export const enqueuing = <A, E>(
  name: string,
  write: (fiber: Fiber.RuntimeFiber<A, E>) => Effect.Effect<A, E>
): Effect.Effect<A, E> =>
  Effect.withFiberRuntime((fiber) =>
    isInstalled(fiber.currentTracer)
      ? Effect.withSpan(Effect.withFiberRuntime(write), `dbjobq enqueue ${name}`, {
          kind: "producer",
          captureStackTrace: false,
          attributes: { "job.name": name }
        })
      : write(fiber)
  )

/** The caller's span as a `traceparent`, or null where there is none. */
export const current = (context: Context.Context<never>): string | null => {
  const span = Option.getOrUndefined(Context.getOption(context, Tracer.ParentSpan))
  return span?._tag === "Span"
    ? `00-${span.traceId.padStart(32, "0")}-${span.spanId.padStart(16, "0")}-${span.sampled ? "01" : "00"}`
    : null
}

const parentOf = (traceparent: string | null): Tracer.ExternalSpan | undefined => {
  const [, traceId, spanId, flags] = traceparent?.split("-") ?? []
  return traceId === undefined || spanId === undefined
    ? undefined
    : Tracer.externalSpan({ traceId, spanId, sampled: flags !== "00" })
}

/** Runs an attempt in a span of its own, under the enqueue's where there was one. */
export const attempting =
  (row: ClaimedJob) =>
  <A, E, R>(attempt: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
    const parent = parentOf(row.traceparent)
    const spanned = Effect.withSpan(attempt, `dbjobq ${row.name}`, {
      kind: "consumer",
      captureStackTrace: false,
      root: parent === undefined,
      attributes: { "job.id": row.id, "job.name": row.name, "job.queue": row.queue, "job.attempt": row.attempt }
    })
    return parent === undefined ? spanned : Effect.withParentSpan(spanned, parent)
  }
