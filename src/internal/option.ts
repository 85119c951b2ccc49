/** Rules for option values; each answers what is wrong, or nothing. */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { InvalidOption } from "../JobError.js"
import { isWellFormed } from "./wellFormed.js"

const namePattern = /^[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,99}$/

/** Names of jobs and queues: an allow-list that every database compares byte by byte. */
export const name = (field: string, value: string): InvalidOption | undefined =>
  namePattern.test(value)
    ? undefined
    : new InvalidOption({ field, rule: "must be 1 to 100 of A-Z a-z 0-9 _ . : / - and not begin with punctuation" })

export const scheduleId = (field: string, value: string): InvalidOption | undefined =>
  /^[!-~]{1,200}$/.test(value)
    ? undefined
    : new InvalidOption({ field, rule: "must be 1 to 200 printable ASCII characters without spaces" })

export const int = (field: string, value: number, min: number, max: number): InvalidOption | undefined =>
  Number.isInteger(value) && value >= min && value <= max
    ? undefined
    : new InvalidOption({ field, rule: `must be a whole number from ${min} to ${max}` })

export const priority = (field: string, value: number): InvalidOption | undefined =>
  int(field, value, -2_147_483_648, 2_147_483_647)

/** Text that every database stores and compares as it is. */
const isStorable = (text: string): boolean => !text.includes("\u0000") && isWellFormed(text)

export const uniqueKey = (field: string, value: string): InvalidOption | undefined =>
  value.length > 0 && value.length <= 1_000 && isStorable(value)
    ? undefined
    : new InvalidOption({ field, rule: "must be 1 to 1000 well-formed characters without NUL" })

const maxTags = 20

export const tags = (field: string, values: ReadonlyArray<string>): InvalidOption | undefined =>
  values.length <= maxTags &&
  values.every((tag) => tag.length > 0 && tag.length <= 100 && !/[\u0000-\u001f]/.test(tag) && isWellFormed(tag))
    ? undefined
    : new InvalidOption({
        field,
        rule: `must be at most ${maxTags}, each 1 to 100 well-formed characters without control characters`
      })

export const id = (field: string, value: string): InvalidOption | undefined =>
  /^[!-~]{1,100}$/.test(value)
    ? undefined
    : new InvalidOption({ field, rule: "must be 1 to 100 printable ASCII characters without spaces" })

/** Drivers read an empty or foreign URL as their default server, or as the name of a host. */
export const url = (
  value: string | Redacted.Redacted,
  beginnings: readonly [string, ...Array<string>]
): InvalidOption | undefined => {
  const text = typeof value === "string" ? value : Redacted.value(value)
  return beginnings.some((beginning) => text.startsWith(beginning))
    ? undefined
    : new InvalidOption({ field: "url", rule: `must begin with ${beginnings.join(" or ")}` })
}

const maxMillis = 8_640_000_000_000_000

/** Milliseconds of a duration, or what is wrong with it. */
export const millis = (field: string, input: Duration.DurationInput, min = 0): number | InvalidOption => {
  // decodeUnknown reads a negative duration as zero, which would hide the mistake
  const negative =
    typeof input === "number"
      ? !(input >= 0)
      : typeof input === "string"
        ? input.trim().startsWith("-")
        : typeof input === "bigint" && input < 0n
  const value = negative ? Option.none() : Option.map(Duration.decodeUnknown(input), Duration.toMillis)
  return Option.isSome(value) && value.value >= min && value.value <= maxMillis
    ? value.value
    : new InvalidOption({ field, rule: `must be a finite duration of at least ${min} ms` })
}

export const orThrow = (refusal: InvalidOption | undefined): void => {
  if (refusal !== undefined) throw refusal
}

export const millisOrThrow = (field: string, input: Duration.DurationInput, min = 0): number => {
  const value = millis(field, input, min)
  if (typeof value !== "number") throw value
  return value
}

/** A JavaScript timer holds no more, and one that is given more ends at once. */
const longestTimer = 2_147_483_647

/** Milliseconds for a timer that ends something. */
export const timeoutOrThrow = (field: string, input: Duration.DurationInput): number => {
  const value = millisOrThrow(field, input, 1)
  if (value > longestTimer)
    throw new InvalidOption({ field, rule: `must be at most ${longestTimer} ms, about 24 days` })
  return value
}
