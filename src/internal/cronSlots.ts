/**
 * The slots of a cron expression in a zone, in whole seconds. Where the clock changes, a fixed time of day follows the
 * old clock for the length of a gap (so it runs once, shifted by the gap) and is silent for the length of a fold (it ran
 * the first time round); an interval follows the clock as it is.
 */
import { type Cron, longestGapDays } from "./cron.js"
import type { Slots } from "./recurrence.js"
import { type Span, spans, type Zone } from "./zone.js"

const daySeconds = 86_400

/** Part of a span, and the clocks that count in it. */
interface Piece {
  readonly from: number
  readonly until: number
  readonly offset: number
  /** The clock before a gap, and the gap's end on it: dates wholly inside it never existed. */
  readonly old?: { readonly offset: number; readonly from: number; readonly until: number }
}

/** Ascending and disjoint. A gap or fold reaches at most a day beyond the change, so the spans begin a day early. */
const pieces = (cron: Cron, zone: Zone, from: number, until: number): ReadonlyArray<Piece> => {
  if (cron.isInterval) return spans(zone, from, until)
  return spans(zone, from - daySeconds, until)
    .flatMap((span, index, all) => afterChange(all[index - 1], span))
    .map((piece) => ({ ...piece, from: Math.max(piece.from, from), until: Math.min(piece.until, until) }))
    .filter((piece) => piece.from < piece.until)
}

const afterChange = (before: Span | undefined, span: Span): ReadonlyArray<Piece> => {
  const shift = before === undefined ? 0 : span.offset - before.offset
  if (before === undefined || shift === 0) return [span]
  const settled = Math.min(span.from + Math.abs(shift), span.until)
  const rest = { ...span, from: settled }
  if (shift < 0) return [rest]
  const old = { offset: before.offset, from: span.from + before.offset, until: span.from + span.offset }
  return [{ ...span, until: settled, old }, rest]
}

const below = (values: ReadonlyArray<number>, limit: number): number => {
  const index = values.findIndex((value) => value >= limit)
  return index === -1 ? values.length : index
}

/** How many of a day's times are before this second of the day. */
const rank = ({ hours, minutes, seconds }: Cron, second: number): number => {
  const hour = Math.floor(second / 3_600)
  const minute = Math.floor(second / 60) % 60
  const inHour = below(minutes, minute) * seconds.length
  const inMinute = minutes.includes(minute) ? below(seconds, second % 60) : 0
  return below(hours, hour) * minutes.length * seconds.length + (hours.includes(hour) ? inHour + inMinute : 0)
}

/** The inverse of `rank`. */
const timeAt = ({ hours, minutes, seconds }: Cron, index: number): number => {
  const minute = Math.floor(index / seconds.length)
  return (
    (hours[Math.floor(minute / minutes.length)] ?? 0) * 3_600 +
    (minutes[minute % minutes.length] ?? 0) * 60 +
    (seconds[index % seconds.length] ?? 0)
  )
}

/** The matching dates of a stretch of wall clock, with the ranks of their first time in it and of the one behind it. */
function* dates(cron: Cron, from: number, until: number) {
  const end = Math.ceil(until / daySeconds)
  for (let day = cron.nextDay(Math.floor(from / daySeconds), end); day < end; day = cron.nextDay(day + 1, end)) {
    const start = day * daySeconds
    const low = rank(cron, Math.max(from - start, 0))
    const high = rank(cron, Math.min(until - start, daySeconds))
    if (low < high) yield { start, low, high }
  }
}

function* walls(cron: Cron, from: number, until: number) {
  for (const { start, low, high } of dates(cron, from, until)) {
    for (let index = low; index < high; index++) yield start + timeAt(cron, index)
  }
}

function* instants(cron: Cron, { from, until, offset, old }: Piece) {
  if (old === undefined) {
    for (const wall of walls(cron, from + offset, until + offset)) yield wall - offset
    return
  }
  const found = new Set<number>()
  for (const wall of walls(cron, from + offset, until + offset)) found.add(wall - offset)
  for (const wall of walls(cron, from + old.offset, until + old.offset)) {
    const midnight = Math.floor(wall / daySeconds) * daySeconds
    if (midnight < old.from || midnight + daySeconds > old.until) found.add(wall - old.offset)
  }
  yield* [...found].sort((a, b) => a - b)
}

const count = (cron: Cron, piece: Piece): number => {
  if (piece.old !== undefined) return [...instants(cron, piece)].length
  let total = 0
  for (const { low, high } of dates(cron, piece.from + piece.offset, piece.until + piece.offset)) total += high - low
  return total
}

/** Days that may be looked at for one slot; nearly always it is found within the first five. */
const patience = 60

/**
 * The first slot in [from, until), or none. Skips ahead to the neighbourhood of the next matching date; gives up on
 * expressions that keep matching dates on which no clock shows a matching time.
 */
const first = (cron: Cron, zone: Zone, from: number, until: number): number | undefined => {
  let at = from
  for (let looked = 0; looked < patience && at < until; looked++) {
    const horizon = Math.ceil(until / daySeconds) + 2
    const day = cron.nextDay(Math.floor(at / daySeconds) - 3, horizon)
    if (day === horizon) return undefined
    at = Math.max(at, (day - 1) * daySeconds)
    const end = Math.min(at + daySeconds, until)
    for (const piece of at < end ? pieces(cron, zone, at, end) : []) {
      for (const slot of instants(cron, piece)) return slot
    }
    at = end
  }
  return undefined
}

/** The calendar's years 1 to 9999: a cron expression has no slots beyond. */
const earliest = Date.UTC(2001, 0, 1) / 1_000 - 2_000 * 365.2425 * daySeconds
const last = Date.UTC(9999, 11, 31) / 1_000

const bound = (instant: number) => Math.min(Math.max(Math.floor(instant / 1_000) + 1, earliest), last)

export const make = (cron: Cron, zone: Zone): Slots => ({
  next: (after) => {
    const from = bound(after)
    const slot = first(cron, zone, from, Math.min(from + longestGapDays * daySeconds, last))
    return slot === undefined ? undefined : slot * 1_000
  },
  count: (after, until) =>
    pieces(cron, zone, bound(after), bound(until)).reduce((total, piece) => total + count(cron, piece), 0),
  all: (after, until) =>
    pieces(cron, zone, bound(after), bound(until)).flatMap((piece) =>
      Array.from(instants(cron, piece), (slot) => slot * 1_000)
    )
})
