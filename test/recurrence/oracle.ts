/**
 * What the slots of an expression are by the stated policy, found by looking at every minute of a zone's wall clock.
 * Knows neither the library's parser nor its calendar: expressions come as predicates (see expression.ts).
 */
import type { Expression } from "./expression.js"

export interface CalendarDate {
  readonly month: number
  readonly day: number
  readonly weekday: number
  /** Days in its month. */
  readonly length: number
}

/** A minute that a wall clock shows, or skips. */
interface Minute {
  /** When it begins; for a skipped minute, when it would have begun had the clock not been changed. */
  readonly at: number
  readonly hour: number
  readonly minute: number
  readonly date: CalendarDate
  /** The clock has shown it before. */
  readonly isRepeated: boolean
  readonly isSkipped: boolean
}

/** The wall clock of two days, of which the second, [checked, end), has a day of history to be judged by. */
export interface Window {
  readonly minutes: ReadonlyArray<Minute>
  readonly checked: number
  readonly end: number
}

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

const formatter = (timeZone: string) =>
  new Intl.DateTimeFormat("en-GB", { timeZone, hourCycle: "h23", dateStyle: "short", timeStyle: "short" })

/** The wall clock read as if it were UTC; en-GB writes dd/mm/yyyy, hh:mm. */
const wallClock = (format: Intl.DateTimeFormat, at: number): number => {
  const text = format.format(at)
  const part = (from: number, to: number) => Number(text.slice(from, to))
  return Date.UTC(part(6, 10), part(3, 5) - 1, part(0, 2), part(12, 14), part(15, 17))
}

const calendarDate = (wall: number): CalendarDate => {
  const at = new Date(wall)
  return {
    month: at.getUTCMonth() + 1,
    day: at.getUTCDate(),
    weekday: at.getUTCDay(),
    length: new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1, 0)).getUTCDate()
  }
}

const scan = (format: Intl.DateTimeFormat, checked: number): Window => {
  const start = checked - day
  const walls = Array.from({ length: (2 * day) / minute }, (_, n) => wallClock(format, start + n * minute))
  const dates = new Map(walls.map((wall) => [Math.floor(wall / day), calendarDate(wall)]))
  const shown = new Set<number>()
  const minutes: Array<Minute> = []
  const add = (at: number, wall: number, isSkipped: boolean) => {
    const date = dates.get(Math.floor(wall / day))
    // a date that the clock never shows has no minutes, not even skipped ones
    if (date === undefined) return
    const isRepeated = shown.has(wall)
    minutes.push({ at, hour: Math.floor(wall / hour) % 24, minute: (wall / minute) % 60, date, isRepeated, isSkipped })
  }
  walls.forEach((wall, n) => {
    const at = start + n * minute
    const expected = (walls[n - 1] ?? wall - minute) + minute
    for (let skipped = expected; skipped < wall; skipped += minute) add(at + skipped - expected, skipped, true)
    add(at, wall, false)
    shown.add(wall)
  })
  return { minutes, checked, end: checked + day }
}

/** The instants at which the zone's offset changes. */
const changes = (format: Intl.DateTimeFormat, from: number, until: number): ReadonlyArray<number> => {
  const offset = (at: number) => wallClock(format, at) - at
  const found: Array<number> = []
  for (let at = from; at < until; at += day) {
    if (offset(at) === offset(at + day)) continue
    let changed = at + minute
    while (offset(changed) === offset(at)) changed += minute
    found.push(changed)
  }
  return found
}

/** Windows around some of the zone's changes, 2024 to 2030, and around the given instants. */
export const windows = (zone: string, instants: ReadonlyArray<number>): ReadonlyArray<Window> => {
  const format = formatter(zone)
  const all = changes(format, Date.UTC(2024, 0, 1), Date.UTC(2031, 0, 1))
  // four of them, spread over the years, springs and autumns
  const some = [0, 0.3, 0.6, 0.9].flatMap((share) => all[Math.floor(share * all.length)] ?? [])
  return [...new Set([...some, ...instants])].map((at) => scan(format, Math.floor((at - 6 * hour) / minute) * minute))
}

/** The slots in [checked, end), ascending. */
export const slots = (expression: Expression, window: Window): ReadonlyArray<number> => {
  const hours = Array.from({ length: 24 }, (_, value) => expression.hour(value))
  const minutes = Array.from({ length: 60 }, (_, value) => expression.minute(value))
  const due = new Set<number>()
  for (const { at, hour, minute, date, isRepeated, isSkipped } of window.minutes) {
    if (!hours[hour] || !minutes[minute] || at < window.checked || at >= window.end || !expression.date(date)) continue
    if (expression.isInterval ? !isSkipped : !isRepeated) due.add(at)
  }
  return [...due].sort((a, b) => a - b).flatMap((at) => expression.seconds.map((second) => at + second * 1_000))
}
