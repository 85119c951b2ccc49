/** What the library counts. Every name begins with `dbjobq_`; jobs and outcomes are labels, ids never are. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"

const counter = (name: string, description: string) => Metric.counter(name, { description, incremental: true })

const settledJobs = counter("dbjobq_settled_total", "Attempts whose outcome was recorded, by outcome")
const lostLeases = counter("dbjobq_lease_lost_total", "Jobs interrupted because their lease was lost")
const rescuedJobs = counter("dbjobq_rescued_total", "Expired leases of any worker put back or ended by this process")

/** Looking up a metric by its labels costs more than counting with it, so each owner keeps those of its jobs. */
const keptByJob = <A>(make: (job: string) => A): ((job: string) => A) => {
  const kept = new Map<string, A>()
  return (job) => {
    const known = kept.get(job)
    if (known !== undefined) return known
    const made = make(job)
    kept.set(job, made)
    return made
  }
}

/** Seconds from an attempt's start to its end, by job. */
export const attemptSeconds = () =>
  keptByJob((job) =>
    Metric.fromMetricKey(
      MetricKey.tagged(
        MetricKey.histogram(
          "dbjobq_attempt_seconds",
          MetricBoundaries.exponential({ start: 0.001, factor: 4, count: 10 }),
          "Time from an attempt's start to its end"
        ),
        "job",
        job
      )
    )
  )

/** Jobs written by this process, by job. */
export const enqueued = () =>
  keptByJob((job) =>
    Metric.fromMetricKey(
      MetricKey.tagged(
        MetricKey.counter("dbjobq_enqueued_total", { description: "Jobs written by this process", incremental: true }),
        "job",
        job
      )
    )
  )

const add = (metric: Metric.Metric.Counter<number>, count: number): Effect.Effect<void> =>
  count === 0 ? Effect.void : Metric.incrementBy(metric, count)

/** For observers of fibers, which are no effects. */
export const unsafeSettled = (job: string, outcome: string, count: number): void =>
  settledJobs.pipe(Metric.tagged("job", job), Metric.tagged("outcome", outcome)).unsafeUpdate(count, [])

export const leaseLost: Effect.Effect<void> = Metric.increment(lostLeases)

export const rescued = (count: number): Effect.Effect<void> => add(rescuedJobs, count)
