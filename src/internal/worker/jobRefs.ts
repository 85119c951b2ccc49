/**
 * The fiber refs that a job's fiber starts with: the worker's own, and the job's context. They are written at once, as to
 * change one after the other copies and compares all of them each time.
 */
import * as Context from "effect/Context"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import * as HashSet from "effect/HashSet"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import { CurrentJob } from "../../Job.js"
import { Derived } from "../derived.js"

/** What a job logs names the job. That is looked up for each line, as most jobs log nothing. */
const naming = <Output>(logger: Logger.Logger<unknown, Output>): Logger.Logger<unknown, Output> =>
  Logger.make((options) => {
    const job = Context.getOption(FiberRefs.getOrDefault(options.context, FiberRef.currentContext), CurrentJob)
    if (Option.isNone(job)) return logger.log(options)
    const { attempt, id, name } = job.value
    const names = HashMap.make<[string, unknown][]>(["job", name], ["jobId", id], ["attempt", attempt])
    return logger.log({ ...options, annotations: HashMap.union(names, options.annotations) })
  })

type Locals = FiberRefs.FiberRefs["locals"]
type Ref = Parameters<Locals["get"]>[0]
type Stack = Parameters<Locals["set"]>[1]

/** What all jobs of a worker begin with, and the context of one. */
class JobLocals extends Derived<Ref, Stack> {
  declare private readonly shared: ReadonlyMap<Ref, Stack>
  declare private readonly context: Stack

  constructor(shared: ReadonlyMap<Ref, Stack>, context: Stack) {
    super()
    this.shared = shared
    this.context = context
  }

  protected read(ref: Ref): Stack | undefined {
    return ref === FiberRef.currentContext ? this.context : this.shared.get(ref)
  }

  protected knows(ref: Ref): boolean {
    return ref === FiberRef.currentContext || this.shared.has(ref)
  }

  protected copy(): Map<Ref, Stack> {
    return new Map(this.shared).set(FiberRef.currentContext, this.context)
  }
}

export const make = (worker: FiberRefs.FiberRefs) => {
  // what a fork changes is changed for all jobs at once; what is as it was at first need not be said
  const none = FiberRefs.empty()
  const own = FiberRefs.updateManyAs(worker, {
    forkAs: FiberId.none,
    entries: [
      // what a handler fails with may quote a payload: the fiber's end is not the place to log it
      [FiberRef.unhandledErrorLogLevel, [[FiberId.none, Option.none()]]],
      [
        FiberRef.currentLoggers,
        [[FiberId.none, HashSet.map(FiberRefs.getOrDefault(worker, FiberRef.currentLoggers), naming)]]
      ]
    ]
  })
  const shared = new Map(
    [...FiberRefs.forkAs(own, FiberId.none).locals].filter(
      ([ref, [[, value]]]) => value !== FiberRefs.getOrDefault(none, ref)
    )
  )

  return <R>(context: Context.Context<R>, fiberId: FiberId.Runtime): FiberRefs.FiberRefs =>
    FiberRefs.unsafeMake(new JobLocals(shared, [[fiberId, context]]))
}
