/** dbjobq as its users drive it, on whatever storage a peer file names. */
import { Job, JobQueue, JobStorage, Worker } from "dbjobq"
import { Context, Effect, Exit, Layer, ManagedRuntime, Schedule, Schema, Scope } from "effect"
import { priorityOf, retryDelay, type Session, type Tally } from "./peer.js"

const payload = { n: Schema.Number, kind: Schema.String, tag: Schema.String }

const Bench = Job.make("bench", {
  payload,
  error: Schema.String,
  retry: { times: 3, schedule: Schedule.spaced(retryDelay) }
})
const Other = Job.make("other", { payload, queue: "other" })

/** What a storage can answer faster than the public API, and what no API should: turning jobs into history. */
export interface Shortcuts<R> {
  readonly isEmpty: Effect.Effect<boolean, unknown, R>
  readonly tally: Effect.Effect<Tally, unknown, R>
  readonly finishAll: Effect.Effect<unknown, unknown, R>
}

/** The same storage with other ways. */
export const withStorage = <R, E>(
  storage: Layer.Layer<JobStorage.JobStorage | R, E>,
  change: (service: JobStorage.Service) => JobStorage.Service
): Layer.Layer<JobStorage.JobStorage | R, E> =>
  Layer.map(storage, (context) =>
    Context.add(context, JobStorage.JobStorage, change(Context.get(context, JobStorage.JobStorage)))
  )

const sum = (counts: ReadonlyArray<JobStorage.Count>, states: ReadonlyArray<string>) =>
  counts.reduce(
    (total, { queue, state, count }) => (queue === "default" && states.includes(state) ? total + count : total),
    0
  )

export const open = async <R, E>(
  storage: Layer.Layer<JobStorage.JobStorage | R, E>,
  shortcuts?: Shortcuts<NoInfer<R>>,
  options?: Worker.Tuning
): Promise<Session> => {
  let claims = 0
  const counting = ({ claim, ...rest }: JobStorage.Service): JobStorage.Service => ({
    ...rest,
    claim: (request) => {
      claims++
      return claim(request)
    }
  })
  const runtime = ManagedRuntime.make(withStorage(storage, counting))
  const queue = await runtime.runPromise(JobQueue.make)
  const counted = Effect.map(
    queue.counts,
    (counts): Tally => ({
      completed: sum(counts, ["completed"]),
      failed: sum(counts, ["failed", "cancelled"]),
      unfinished: sum(counts, ["scheduled", "pending", "running"])
    })
  )
  const tally = shortcuts?.tally ?? counted
  const isEmpty = shortcuts?.isEmpty ?? Effect.map(counted, ({ unfinished }) => unfinished === 0)
  const { finishAll } = shortcuts ?? {}
  return {
    addEach: (payloads, inFlight) => {
      const rest = payloads[Symbol.iterator]()
      const lane: Effect.Effect<void, JobQueue.EnqueueError> = Effect.suspend(() => {
        const next = rest.next()
        return next.done === true ? Effect.void : Effect.flatMap(queue.enqueue(Bench, next.value), () => lane)
      })
      return runtime.runPromise(
        inFlight === 1
          ? lane
          : Effect.all(
              Array.from({ length: inFlight }, () => lane),
              { concurrency: "unbounded", discard: true }
            )
      )
    },
    addAll: (batch) =>
      runtime.runPromise(
        Effect.asVoid(
          queue.enqueueAll(batch.name === "bench" ? Bench : Other, batch.payloads, (job) => ({
            priority: priorityOf(batch, job),
            ...(batch.delaySeconds > 0 ? { delay: batch.delaySeconds * 1_000 } : {})
          }))
        )
      ),
    work: async ({ concurrency, handler }) => {
      const live = Bench.toLayer(({ n }) =>
        Effect.suspend(() => (handler(n) ? Effect.void : Effect.fail("asked to fail")))
      )
      const scope = await runtime.runPromise(Scope.make())
      await runtime.runPromise(
        Worker.make([Bench], { ...options, concurrency }).pipe(Effect.provide(live), Scope.extend(scope))
      )
      return () => runtime.runPromise(Scope.close(scope, Exit.void))
    },
    isEmpty: () => runtime.runPromise(isEmpty),
    tally: () => runtime.runPromise(tally),
    ...(finishAll === undefined ? {} : { finishAll: () => runtime.runPromise(Effect.asVoid(finishAll)) }),
    claims: () => claims,
    close: () => runtime.dispose()
  }
}
