/** Cron expressions, read by cron-parser. Nothing else knows that library: it only parses, the calendar is ours. */
import { CronExpressionParser } from "cron-parser"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { InvalidRecurrence } from "../JobError.js"

/** What an expression allows, on a wall clock that knows nothing of zones. */
export interface Cron {
  /** Ascending. */
  readonly hours: ReadonlyArray<number>
  readonly minutes: ReadonlyArray<number>
  readonly seconds: ReadonlyArray<number>
  /** Hour or minute has a wildcard or a step: it repeats with the clock, and is no fixed time of day. */
  readonly isInterval: boolean
  /** The first matching date in [day, until), or `until`; days count from 1970-01-01. */
  readonly nextDay: (day: number, until: number) => number
}

const maxLength = 256

/** Leap years return after at most 8 years, and 29 February to the same weekday after at most 40. */
export const longestGapDays = 40 * 366

const aliases: ReadonlyMap<string, string> = new Map([
  ["@secondly", "* * * * * *"],
  ["@minutely", "* * * * *"],
  ["@hourly", "0 * * * *"],
  ["@daily", "0 0 * * *"],
  ["@midnight", "0 0 * * *"],
  ["@weekly", "0 0 * * 0"],
  ["@weekdays", "0 0 * * 1-5"],
  ["@weekends", "0 0 * * 0,6"],
  ["@monthly", "0 0 1 * *"],
  ["@yearly", "0 0 1 1 *"],
  ["@annually", "0 0 1 1 *"]
])

const forms = "as numbers, rising ranges, steps and lists, no value twice"

/** What each field may be made of. The library's `H` is left out: without a seed it is drawn anew at every parse. */
const rules = [
  { field: "second", pattern: /^[\d*?,/-]+$/, rule: `must be * or 0 to 59, ${forms}` },
  { field: "minute", pattern: /^[\d*?,/-]+$/, rule: `must be * or 0 to 59, ${forms}` },
  { field: "hour", pattern: /^[\d*?,/-]+$/, rule: `must be * or 0 to 23, ${forms}` },
  { field: "dayOfMonth", pattern: /^[\d*?,/L-]+$/, rule: `must be *, ? or 1 to 31, ${forms}, or L for the last day` },
  {
    field: "month",
    pattern: /^(?:[\d*?,/-]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)+$/i,
    rule: `must be * or 1 to 12 or JAN to DEC, ${forms}`
  },
  {
    field: "dayOfWeek",
    pattern: /^(?:[\d*?,/#L-]|sun|mon|tue|wed|thu|fri|sat)+$/i,
    rule: `must be *, ? or 0 to 7 or SUN to SAT, ${forms}, one day with # and 1 to 5 for the n-th, or days with L for the last of the month`
  }
] as const

const refuse = (field: string, rule: string) => Either.left(new InvalidRecurrence({ field, rule }))

const parse = Option.liftThrowable(
  (expression: string) => CronExpressionParser.parse(expression, { tz: "UTC", currentDate: 0 }).fields
)

type Fields = Option.Option.Value<ReturnType<typeof parse>>

/** One space between fields, none around them. */
export const normalize = (expression: string): string => expression.trim().split(/\s+/).join(" ")

export const read = (expression: string): Either.Either<Cron, InvalidRecurrence> => {
  if (expression.length > maxLength) return refuse("expression", `must be at most ${maxLength} characters`)
  const text = normalize(expression)
  const atoms = (aliases.get(text) ?? text).split(" ")
  if (atoms.length < 5 || atoms.length > 6) {
    return refuse(
      "expression",
      `must have 5 fields (minute, hour, day of month, month, day of week), 6 with the second first, or be one of ${[...aliases.keys()].join(" ")}`
    )
  }
  const values = atoms.length === 5 ? ["0", ...atoms] : atoms
  for (const [index, { field, pattern, rule }] of rules.entries()) {
    if (!pattern.test(values[index] ?? "")) return refuse(field, rule)
  }
  const fields = parse(values.join(" "))
  if (Option.isNone(fields)) return blame(values)
  const { second, minute, hour } = fields.value
  return Either.right({
    hours: ascending(hour.values),
    minutes: ascending(minute.values),
    seconds: ascending(second.values),
    isInterval: /[*?/]/.test(`${values[1]}${values[2]}`),
    nextDay: dayFinder(fields.value)
  })
}

/** The field that is refused even alone. Each is fine alone only when no month has the day of month. */
const blame = (values: ReadonlyArray<string>) => {
  const found = rules.find((_, index) =>
    Option.isNone(parse(values.map((value, other) => (other === index ? value : "*")).join(" ")))
  )
  return found === undefined
    ? refuse("dayOfMonth", "must be a day that at least one of the months has")
    : refuse(found.field, found.rule)
}

const ascending = (values: ReadonlyArray<number>) => [...values].sort((a, b) => a - b)

const dayMillis = 86_400_000

/** 1970-01-01 was a Thursday. */
const weekdayOf = (day: number) => (((day + 4) % 7) + 7) % 7

/**
 * Goes by months, so that those left out cost nothing. A day of month and a day of week that are both restricted are
 * alternatives, as in every crontab.
 */
const dayFinder = ({ dayOfMonth, month, dayOfWeek }: Fields) => {
  const months = new Set<number>(month.values)
  const days = new Set<number | string>(dayOfMonth.values)
  const weekdays = new Set<number | string>(dayOfWeek.values.map((value) => (value === 7 ? 0 : value)))
  const lastWeekdays = new Set(
    dayOfWeek.values.flatMap((value) => (typeof value === "string" ? [Number.parseInt(value, 10) % 7] : []))
  )
  const matchesMonthDay = (date: number, last: number) => days.has(date) || (days.has("L") && date === last)
  const matchesWeekday = (date: number, last: number, weekday: number) =>
    (weekdays.has(weekday) && (dayOfWeek.nthDay === 0 || Math.ceil(date / 7) === dayOfWeek.nthDay)) ||
    (lastWeekdays.has(weekday) && date > last - 7)
  const matches = (date: number, last: number, weekday: number) => {
    if (dayOfWeek.isWildcard) return dayOfMonth.isWildcard || matchesMonthDay(date, last)
    return (!dayOfMonth.isWildcard && matchesMonthDay(date, last)) || matchesWeekday(date, last, weekday)
  }
  return (from: number, until: number): number => {
    let day = from
    while (day < until) {
      const at = new Date(day * dayMillis)
      const month = at.getUTCMonth()
      const before = day - at.getUTCDate()
      const end = at.setUTCMonth(month + 1, 1) / dayMillis
      for (; months.has(month + 1) && day < Math.min(end, until); day++) {
        if (matches(day - before, end - before - 1, weekdayOf(day))) return day
      }
      day = end
    }
    return until
  }
}
