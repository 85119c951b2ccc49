/** A time zone as a function from an instant to its offset from UTC, both in whole seconds. */
import * as Option from "effect/Option"

export type Zone = (instant: number) => number

/** A stretch of time in which the offset does not change: `from` included, `until` not. */
export interface Span {
  readonly from: number
  readonly until: number
  readonly offset: number
}

const daySeconds = 86_400

const format = Option.liftThrowable(
  (timeZone: string) =>
    new Intl.DateTimeFormat("en-US", {
      timeZone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric"
    })
)

/** The zone of an IANA name. Offsets such as `+02:00` are none: only newer runtimes know them. */
export const named = (timezone: string): Option.Option<Zone> =>
  Option.map(/^[A-Za-z]/.test(timezone) ? format(timezone) : Option.none(), (intl) => (instant) => {
    const [month = 1, day = 1, year = 1970, hour = 0, minute = 0, second = 0] = (
      intl.format(instant * 1_000).match(/\d+/g) ?? []
    ).map(Number)
    return Date.UTC(year, month - 1, day, hour, minute, second) / 1_000 - instant
  })

/** Cuts a range where the offset changes. Clocks do not change twice within a day and end where they began. */
export const spans = (zone: Zone, from: number, until: number): ReadonlyArray<Span> => {
  const found: Array<Span> = []
  let start = from
  let offset = zone(from)
  let at = from
  while (at < until) {
    const end = Math.min(at + daySeconds, until)
    if (zone(end) === offset) {
      at = end
      continue
    }
    at = firstChange(zone, offset, at, end)
    if (at < until) {
      found.push({ from: start, until: at, offset })
      start = at
      offset = zone(at)
    }
  }
  found.push({ from: start, until, offset })
  return found
}

/** The first instant after `same` whose offset is another; it is at `other` at the latest. */
const firstChange = (zone: Zone, offset: number, same: number, other: number): number => {
  let low = same
  let high = other
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (zone(middle) === offset) low = middle
    else high = middle
  }
  return high
}
