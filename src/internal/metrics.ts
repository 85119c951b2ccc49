/** What the library counts. Every name begins with `dbjobq_`; jobs and outcomes are labels, ids never are. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"

/** For updates without an effect: the labels are part of the metric. */
export const noLabels: ReadonlyArray<never> = []

const counter = (name: string, description: string) => MetricKey.counter(name, { description, incremental: true })

const lostLeases = Metric.fromMetricKey(
  counter("dbjobq_lease_lost_total", "Jobs interrupted because their lease was lost")
)
const rescuedJobs = Metric.fromMetricKey(
  counter("dbjobq_rescued_total", "Expired leases of any worker put back or ended by this process")
)

/** Looking up a metric by its labels costs more than counting with it, so each owner keeps those it counts with. */
const keptBy = <A>(make: (label: string) => A): ((label: string) => A) => {
  const kept = new Map<string, A>()
  return (label) => {
    const known = kept.get(label)
    if (known !== undefined) return known
    const made = make(label)
    kept.set(label, made)
    return made
  }
}

/** Seconds from an attempt's start to its end, by job. */
export const attemptSeconds = () =>
  keptBy((job) =>
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
  keptBy((job) =>
    Metric.fromMetricKey(MetricKey.tagged(counter("dbjobq_enqueued_total", "Jobs written by this process"), "job", job))
  )

/** Attempts whose outcome was recorded, by job and outcome. */
export const settled = () =>
  keptBy((job) => {
    const attempts = counter("dbjobq_settled_total", "Attempts whose outcome was recorded, by outcome")
    const ofJob = MetricKey.tagged(attempts, "job", job)
    return keptBy((outcome) => Metric.fromMetricKey(MetricKey.tagged(ofJob, "outcome", outcome)))
  })

const add = (metric: Metric.Metric.Counter<number>, count: number): Effect.Effect<void> =>
  count === 0 ? Effect.void : Metric.incrementBy(metric, count)

export const leaseLost: Effect.Effect<void> = Metric.increment(lostLeases)

export const rescued = (count: number): Effect.Effect<void> => add(rescuedJobs, count)
