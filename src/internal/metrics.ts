/** What the library counts. Every name begins with `dbjobq_`; jobs and outcomes are labels, ids never are. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"

const counter = (name: string, description: string) => Metric.counter(name, { description, incremental: true })

const enqueuedJobs = counter("dbjobq_enqueued_total", "Jobs written by this process")
const settledJobs = counter("dbjobq_settled_total", "Attempts whose outcome was recorded, by outcome")
const lostLeases = counter("dbjobq_lease_lost_total", "Jobs interrupted because their lease was lost")
const rescuedJobs = counter("dbjobq_rescued_total", "Expired leases of any worker put back or ended by this process")

/** Seconds from an attempt's start to its end. */
export const attemptSeconds = (job: string) =>
  Metric.tagged(
    Metric.histogram(
      "dbjobq_attempt_seconds",
      MetricBoundaries.exponential({ start: 0.001, factor: 4, count: 10 }),
      "Time from an attempt's start to its end"
    ),
    "job",
    job
  )

const add = (metric: Metric.Metric.Counter<number>, count: number): Effect.Effect<void> =>
  count === 0 ? Effect.void : Metric.incrementBy(metric, count)

/** Tagging a metric costs more than counting with it, so each queue keeps those of its jobs. */
export const enqueued = (): ((job: string, count: number) => Effect.Effect<void>) => {
  const byJob = new Map<string, Metric.Metric.Counter<number>>()
  return (job, count) => {
    const known = byJob.get(job)
    const counting = known ?? Metric.tagged(enqueuedJobs, "job", job)
    if (known === undefined) byJob.set(job, counting)
    return add(counting, count)
  }
}

/** For observers of fibers, which are no effects. */
export const unsafeSettled = (job: string, outcome: string, count: number): void =>
  settledJobs.pipe(Metric.tagged("job", job), Metric.tagged("outcome", outcome)).unsafeUpdate(count, [])

export const leaseLost: Effect.Effect<void> = Metric.increment(lostLeases)

export const rescued = (count: number): Effect.Effect<void> => add(rescuedJobs, count)
