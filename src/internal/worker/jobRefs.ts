/**
 * The fiber refs that a job's fiber starts with: the worker's own, the job's context, and log annotations that name the
 * job. They are written at once, as to change one after the other copies and compares all of them each time.
 */
import type * as Context from "effect/Context"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { ClaimedJob } from "../../JobStorage.js"

export const make = (worker: FiberRefs.FiberRefs) => {
  // what a fork changes is changed for all jobs at once; what is as it was at first need not be said
  const none = FiberRefs.empty()
  // what a handler fails with may quote a payload: the fiber's end is not the place to log it
  const quiet = FiberRefs.updateAs(worker, {
    fiberId: FiberId.none,
    fiberRef: FiberRef.unhandledErrorLogLevel,
    value: Option.none()
  })
  const locals = [...FiberRefs.forkAs(quiet, FiberId.none).locals].filter(
    ([ref, [[, value]]]) => value !== FiberRefs.getOrDefault(none, ref)
  )
  const inherited = FiberRefs.getOrDefault(worker, FiberRef.currentLogAnnotations)
  let name = ""
  let attempt = 0
  let annotations = inherited

  // the jobs of a worker are often alike
  const annotationsOf = (row: ClaimedJob): HashMap.HashMap<string, unknown> => {
    if (row.name !== name || row.attempt !== attempt) {
      ;({ name, attempt } = row)
      annotations = HashMap.set(HashMap.set(inherited, "job", name), "attempt", attempt)
    }
    return HashMap.set(annotations, "jobId", row.id)
  }

  return <R>(row: ClaimedJob, context: Context.Context<R>, fiberId: FiberId.Runtime): FiberRefs.FiberRefs =>
    FiberRefs.unsafeMake(
      new Map(locals)
        .set(FiberRef.currentContext, [[fiberId, context]])
        .set(FiberRef.currentLogAnnotations, [[fiberId, annotationsOf(row)]])
    )
}
