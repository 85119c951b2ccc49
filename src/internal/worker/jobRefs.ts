/**
 * The fiber refs that a job's fiber starts with: the worker's own, the job's context, and log annotations that name the
 * job. They are given at once, as to change one after the other copies and compares all of them each time.
 */
import type * as Context from "effect/Context"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { ClaimedJob } from "../../JobStorage.js"
import { Derived } from "../derived.js"

type Locals = FiberRefs.FiberRefs["locals"]
type Ref = Parameters<Locals["get"]>[0]
type Stack = Parameters<Locals["set"]>[1]

/** What all jobs of a worker begin with, and what is one's own. Most log nothing: their names wait to be asked for. */
class JobLocals extends Derived<Ref, Stack> {
  declare private readonly shared: ReadonlyMap<Ref, Stack>
  declare private readonly context: Stack
  declare private readonly name: () => Stack

  constructor(shared: ReadonlyMap<Ref, Stack>, context: Stack, name: () => Stack) {
    super()
    this.shared = shared
    this.context = context
    this.name = name
  }

  protected read(ref: Ref): Stack | undefined {
    if (ref === FiberRef.currentContext) return this.context
    return ref === FiberRef.currentLogAnnotations ? this.name() : this.shared.get(ref)
  }

  protected knows(ref: Ref): boolean {
    return ref === FiberRef.currentContext || ref === FiberRef.currentLogAnnotations || this.shared.has(ref)
  }

  protected copy(): Map<Ref, Stack> {
    return new Map(this.shared)
      .set(FiberRef.currentContext, this.context)
      .set(FiberRef.currentLogAnnotations, this.name())
  }
}

export const make = (worker: FiberRefs.FiberRefs) => {
  // what a fork changes is changed for all jobs at once; what is as it was at first need not be said
  const none = FiberRefs.empty()
  // what a handler fails with may quote a payload: the fiber's end is not the place to log it
  const quiet = FiberRefs.updateAs(worker, {
    fiberId: FiberId.none,
    fiberRef: FiberRef.unhandledErrorLogLevel,
    value: Option.none()
  })
  const shared = new Map(
    [...FiberRefs.forkAs(quiet, FiberId.none).locals].filter(
      ([ref, [[, value]]]) => value !== FiberRefs.getOrDefault(none, ref)
    )
  )
  const inherited = FiberRefs.getOrDefault(worker, FiberRef.currentLogAnnotations)

  const annotationsOf = ({ attempt, id, name }: ClaimedJob): HashMap.HashMap<string, unknown> =>
    HashMap.set(HashMap.set(HashMap.set(inherited, "job", name), "jobId", id), "attempt", attempt)

  return <R>(row: ClaimedJob, context: Context.Context<R>, fiberId: FiberId.Runtime): FiberRefs.FiberRefs =>
    FiberRefs.unsafeMake(new JobLocals(shared, [[fiberId, context]], () => [[fiberId, annotationsOf(row)]]))
}
