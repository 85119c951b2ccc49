/**
 * When something recurs: at a fixed rate, or by a cron expression in a time zone. A plain value, without a clock.
 *
 * A recurrence names slots: the instants at which it is due. What it does where a zone's clock changes is stated in
 * `docs/schedules.md` and by {@link cron}.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import { dual } from "effect/Function"
import * as Hash from "effect/Hash"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import * as Decision from "effect/ScheduleDecision"
import * as Interval from "effect/ScheduleInterval"
import * as Schema_ from "effect/Schema"
import * as Cron_ from "./internal/cron.js"
import * as CronSlots from "./internal/cronSlots.js"
import * as EverySlots from "./internal/everySlots.js"
import * as check from "./internal/option.js"
import * as Slots from "./internal/recurrence.js"
import * as Zone from "./internal/zone.js"
import { InvalidOption, InvalidRecurrence } from "./JobError.js"

/**
 * What marks a value as a recurrence.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("dbjobq/Recurrence")

/**
 * The type of `TypeId`.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * An immutable value, equal to another with the same text.
 *
 * @since 0.1.0
 * @category models
 */
export type Recurrence = Every | Cron

/**
 * A fixed rate.
 *
 * @since 0.1.0
 * @category models
 */
export interface Every extends Equal.Equal {
  readonly [TypeId]: TypeId
  readonly _tag: "Every"
  readonly duration: Duration.Duration
  readonly anchor: DateTime.Utc
  /** @internal */
  readonly slots: Slots.Slots
}

/**
 * A cron expression in a time zone.
 *
 * @since 0.1.0
 * @category models
 */
export interface Cron extends Equal.Equal {
  readonly [TypeId]: TypeId
  readonly _tag: "Cron"
  readonly expression: string
  readonly timezone: string
  /** @internal */
  readonly slots: Slots.Slots
}

const Proto = {
  [TypeId]: TypeId,
  [Equal.symbol](this: Recurrence, that: Equal.Equal): boolean {
    return isRecurrence(that) && format(this) === format(that)
  },
  [Hash.symbol](this: Recurrence): number {
    return Hash.string(format(this))
  },
  toString(this: Recurrence): string {
    return format(this)
  },
  toJSON(this: Recurrence): string {
    return format(this)
  }
} as const

/**
 * Whether a value is a recurrence.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRecurrence = (u: unknown): u is Recurrence => Predicate.hasProperty(u, TypeId)

/**
 * A fixed rate: slots at the anchor and at every whole multiple of the duration before and after it. The slots do not
 * depend on when anything starts or ends, so they never drift and are the same after a restart. Clock changes of any
 * zone do not matter to it.
 *
 * `duration` is whole milliseconds, at least 1 second; `anchor` defaults to the Unix epoch, so that
 * `every("15 minutes")` is due at :00, :15, :30 and :45. Throws `InvalidOption` for anything else.
 *
 * @example
 * ```ts
 * import { Recurrence } from "dbjobq"
 *
 * const halfDaily = Recurrence.every("12 hours", { anchor: "2024-01-01T06:00:00Z" })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const every = (
  duration: Duration.DurationInput,
  options?: { readonly anchor?: DateTime.DateTime.Input | undefined }
): Recurrence => {
  const period = check.millisOrThrow("duration", duration, 1_000)
  if (!Number.isInteger(period)) throw new InvalidOption({ field: "duration", rule: "must be whole milliseconds" })
  const anchor = Option.map(DateTime.make(options?.anchor ?? 0), DateTime.toUtc)
  if (Option.isNone(anchor)) throw new InvalidOption({ field: "anchor", rule: "must be a valid date" })
  const self: Every = {
    ...Proto,
    _tag: "Every",
    duration: Duration.millis(period),
    anchor: anchor.value,
    slots: EverySlots.make(period, anchor.value.epochMillis)
  }
  return self
}

/**
 * A cron expression: minute, hour, day of month, month, day of week, optionally with the second in front; or one of
 * `@secondly`, `@minutely`, `@hourly`, `@daily`, `@midnight`, `@weekly`, `@weekdays`, `@weekends`, `@monthly`,
 * `@yearly`, `@annually`. Fields take `*`, lists, rising ranges, steps, English names, `L` (last day of the month; `5L`
 * is the last Friday) and `#` (`1#2` is the second Monday). Days of month and of week that are both restricted are
 * alternatives. `timezone` is an IANA name, `UTC` by default.
 *
 * Where the zone's clock changes, a fixed time of day in the gap runs once, shifted forward by the gap, and in the fold
 * once, at its first occurrence; a date that does not exist has no slot. An expression whose hour or minute has a
 * wildcard or a step (`0 * * * *`, a slash in the minute) runs whenever the clock shows a matching time.
 *
 * Left with an `InvalidRecurrence` for anything else, for more than 256 characters, and for an expression that never
 * matches.
 *
 * @example
 * ```ts
 * import { Recurrence } from "dbjobq"
 *
 * const payday = Recurrence.cron("0 9 L * *", { timezone: "Europe/Oslo" })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const cron = (
  expression: string,
  options?: { readonly timezone?: string | undefined }
): Either.Either<Recurrence, InvalidRecurrence> =>
  Either.gen(function* () {
    const timezone = options?.timezone ?? "UTC"
    const parsed = yield* Cron_.read(expression)
    const zone = yield* Either.fromOption(
      Zone.named(timezone),
      () => new InvalidRecurrence({ field: "timezone", rule: "must be a time zone of the IANA database" })
    )
    const slots = CronSlots.make(parsed, zone)
    if (slots.next(reachableFrom) === undefined) {
      return yield* Either.left(
        new InvalidRecurrence({ field: "expression", rule: "must match a time within 40 years" })
      )
    }
    const self: Cron = { ...Proto, _tag: "Cron", expression: Cron_.normalize(expression), timezone, slots }
    return self
  })

/** Any fixed instant will do, since what recurs at all recurs within 40 years. */
const reachableFrom = Date.UTC(2024, 0, 1)

/**
 * Like {@link cron}, for literals: throws `InvalidRecurrence`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const unsafeCron = (expression: string, options?: { readonly timezone?: string | undefined }): Recurrence =>
  Either.getOrThrowWith(cron(expression, options), (error) => error)

const nextMillis = (self: Recurrence, after: number): number | undefined => {
  const slot = Slots.nextAfter(self, after)
  if (slot instanceof Slots.Breach) throw new Error(`${format(self)} names a slot that is not later than asked`)
  return slot
}

/**
 * The first slot strictly later than `after`; None when there is none before the calendar ends (the year 275760). Throws
 * for an `after` that is no date.
 *
 * @since 0.1.0
 * @category slots
 */
export const next: {
  (after: DateTime.DateTime.Input): (self: Recurrence) => Option.Option<DateTime.Utc>
  (self: Recurrence, after: DateTime.DateTime.Input): Option.Option<DateTime.Utc>
} = dual(
  2,
  (self: Recurrence, after: DateTime.DateTime.Input): Option.Option<DateTime.Utc> =>
    Option.map(Option.fromNullable(nextMillis(self, DateTime.toEpochMillis(DateTime.unsafeMake(after)))), (slot) =>
      DateTime.unsafeMake(slot)
    )
)

/**
 * The first `n` slots strictly later than `after`, ascending; `n` from 0 to 10000, else it throws `InvalidOption`.
 *
 * @since 0.1.0
 * @category slots
 */
export const upcoming: {
  (n: number, after: DateTime.DateTime.Input): (self: Recurrence) => ReadonlyArray<DateTime.Utc>
  (self: Recurrence, n: number, after: DateTime.DateTime.Input): ReadonlyArray<DateTime.Utc>
} = dual(3, (self: Recurrence, n: number, after: DateTime.DateTime.Input): ReadonlyArray<DateTime.Utc> => {
  check.orThrow(check.int("n", n, 0, 10_000))
  const found: Array<DateTime.Utc> = []
  let slot: number | undefined = DateTime.toEpochMillis(DateTime.unsafeMake(after))
  while (found.length < n) {
    slot = nextMillis(self, slot)
    if (slot === undefined) break
    found.push(DateTime.unsafeMake(slot))
  }
  return found
})

/** Runtimes cannot set a timer beyond 2^31 ms; waking daily also follows a clock that was set meanwhile. */
const longestSleep = 86_400_000

/**
 * An Effect Schedule that recurs at the slots, by the `Clock`, and outputs them: slots that passed while the effect ran
 * are skipped, no slot recurs twice even when the clock is set back, and the schedule ends when there are no more.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Recurrence } from "dbjobq"
 *
 * const program = Effect.schedule(Effect.log("tick"), Recurrence.toSchedule(Recurrence.every("5 minutes")))
 * ```
 *
 * @since 0.1.0
 * @category conversions
 */
export const toSchedule = (self: Recurrence): Schedule.Schedule<DateTime.Utc> =>
  Schedule.makeWithState<number, unknown, DateTime.Utc>(Number.NEGATIVE_INFINITY, (now, _, last) =>
    Effect.gen(function* () {
      const slot = nextMillis(self, Math.max(now, last))
      if (slot === undefined) return [last, DateTime.unsafeMake(now), Decision.done] as const
      const rest = yield* sleepUntilNear(slot)
      return [slot, DateTime.unsafeMake(slot), Decision.continueWith(Interval.after(now + rest))] as const
    })
  )

/** Sleeps until `longestSleep` or less is left, and answers what is left. */
const sleepUntilNear = (slot: number): Effect.Effect<number> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    slot - now <= longestSleep
      ? Effect.succeed(Math.max(slot - now, 0))
      : Effect.zipRight(Effect.sleep(longestSleep), sleepUntilNear(slot))
  )

const units = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000],
  ["milli", 1]
] as const

const durationText = (duration: Duration.Duration): string => {
  const millis = Duration.toMillis(duration)
  const [unit, size] = units.find(([, size]) => millis % size === 0) ?? ["milli", 1]
  return `${millis / size} ${unit}${millis === size ? "" : "s"}`
}

/**
 * A readable text that {@link fromString} reads back: `every 5 minutes`,
 * `every 90 seconds from 2024-01-01T00:00:00.000Z`, `cron 0 3 * * * in Europe/Oslo`.
 *
 * @since 0.1.0
 * @category conversions
 */
const format = (self: Recurrence): string => {
  if (self._tag === "Cron") return `cron ${self.expression} in ${self.timezone}`
  const from = self.anchor.epochMillis === 0 ? "" : ` from ${DateTime.formatIso(self.anchor)}`
  return `every ${durationText(self.duration)}${from}`
}

const longestText = 512

/**
 * Reads what {@link toString} writes; Left with an `InvalidRecurrence` for anything else. The anchor (the Unix epoch) and
 * the zone (UTC) may be left out.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromString = (text: string): Either.Either<Recurrence, InvalidRecurrence> => {
  const [, kind, what = "", where] =
    (text.length > longestText ? null : text.match(/^(every|cron) (.+?)(?: (?:from|in) (\S+))?$/)) ?? []
  if (kind === "cron") return cron(what, { timezone: where })
  if (kind === "every") return everyFromString(what, where)
  return Either.left(
    new InvalidRecurrence({
      field: "text",
      rule: 'must read "every <duration>", "every <duration> from <instant>" or "cron <expression> in <time zone>"'
    })
  )
}

const everyFromString = (duration: string, anchor: string | undefined) =>
  Either.flatMap(
    Either.fromOption(
      Duration.decodeUnknown(duration),
      () => new InvalidRecurrence({ field: "duration", rule: "must be a number and a unit, such as 5 minutes" })
    ),
    (decoded) =>
      Either.try({
        try: () => every(decoded, { anchor }),
        catch: (error) =>
          error instanceof InvalidOption
            ? new InvalidRecurrence({ field: error.field, rule: error.rule })
            : new InvalidRecurrence({ field: "text", rule: "must be a recurrence" })
      })
  )

/**
 * Recurrences as their text ({@link toString}, {@link fromString}).
 *
 * @since 0.1.0
 * @category schemas
 */
const schema: Schema_.Schema<Recurrence, string> = Schema_.transformOrFail(
  Schema_.String,
  Schema_.declare(isRecurrence, { identifier: "Recurrence" }),
  {
    strict: true,
    decode: (text, _, ast) =>
      Either.mapLeft(fromString(text), (error) => new ParseResult.Type(ast, undefined, error.message)),
    encode: (self) => ParseResult.succeed(format(self))
  }
)

export { format as toString, schema as Schema }
