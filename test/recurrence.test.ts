import { assert, describe, it } from "@effect/vitest"
import { JobError, Recurrence } from "dbjobq"
import { DateTime, Duration, Either, Equal, FastCheck, Hash, Option, ParseResult, Schema } from "effect"
import { arbitrary } from "./recurrence/expression.js"
import { zones } from "./recurrence/zones.js"

const iso = (self: Recurrence.Recurrence, n: number, after: DateTime.DateTime.Input) =>
  Recurrence.upcoming(self, n, after).map(DateTime.formatIso)

const refusal = (expression: string, timezone?: string) => {
  const made = Recurrence.cron(expression, { timezone })
  return Either.isLeft(made) ? made.left : assert.fail(`${expression} was accepted`)
}

describe("Recurrence.every", () => {
  it("is a fixed rate on the epoch or the anchor, before and after it", () => {
    assert.deepStrictEqual(iso(Recurrence.every("15 minutes"), 2, "2024-01-01T10:07:00Z"), [
      "2024-01-01T10:15:00.000Z",
      "2024-01-01T10:30:00.000Z"
    ])
    const anchored = Recurrence.every("7 hours", { anchor: "2024-01-01T03:00:00Z" })
    assert.deepStrictEqual(iso(anchored, 3, "2023-12-31T20:00:00Z"), [
      "2024-01-01T03:00:00.000Z",
      "2024-01-01T10:00:00.000Z",
      "2024-01-01T17:00:00.000Z"
    ])
  })

  it("names the same slots wherever it is asked from, so that restarts do not move it", () => {
    const self = Recurrence.every("90 seconds", { anchor: "2024-01-01T00:00:10Z" })
    const slots = iso(self, 50, "2024-05-05T05:05:05Z")
    for (const [n, slot] of slots.slice(0, -1).entries()) {
      assert.deepStrictEqual(iso(self, 1, slot), slots.slice(n + 1, n + 2))
    }
  })

  it("keeps its grid exactly, however far the anchor is and however long the period", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.integer({ min: 1_000, max: 8_640_000_000_000_000 }),
        FastCheck.date({ noInvalidDate: true }),
        FastCheck.date({ noInvalidDate: true }),
        (period, anchor, after) => {
          const next = Recurrence.next(Recurrence.every(period, { anchor }), after)
          const exact = BigInt(period)
          const since = (BigInt(after.getTime()) - BigInt(anchor.getTime())) % exact
          const expected = BigInt(after.getTime()) + exact - (since < 0n ? since + exact : since)
          assert.strictEqual(
            Option.getOrUndefined(Option.map(next, ({ epochMillis }) => BigInt(epochMillis))),
            expected <= 8_640_000_000_000_000n ? expected : undefined
          )
        }
      ),
      { numRuns: 1_000 }
    )
  })

  it("refuses durations under a second, endless ones and broken milliseconds, and impossible anchors", () => {
    const inputs = ["999 millis", "-5 seconds", Duration.infinity, Number.NaN, 0, 1500.5, Duration.zero] as const
    for (const input of inputs) assert.throws(() => Recurrence.every(input), JobError.InvalidOption, /^duration: /)
    assert.throws(() => Recurrence.every("1 day", { anchor: "never" }), JobError.InvalidOption, /^anchor: /)
  })
})

describe("Recurrence.cron", () => {
  it.each([
    ["*/20 9-10 * * MON-FRI", "2024-03-01T10:50:00Z", ["2024-03-04T09:00", "2024-03-04T09:20", "2024-03-04T09:40"]],
    ["30 15 14 * * *", "2024-03-01T00:00:00Z", ["2024-03-01T14:15:30", "2024-03-02T14:15:30"]],
    ["0 0 L * *", "2024-02-01T00:00:00Z", ["2024-02-29", "2024-03-31", "2024-04-30"]],
    ["0 0 * * 5L", "2024-02-01T00:00:00Z", ["2024-02-23", "2024-03-29"]],
    ["0 0 * * FRI#2", "2024-02-01T00:00:00Z", ["2024-02-09", "2024-03-08"]],
    ["0 0 1,15 * ?", "2024-02-01T00:00:00Z", ["2024-02-15", "2024-03-01"]],
    ["0 0 13 * 5", "2024-02-12T00:00:00Z", ["2024-02-13", "2024-02-16", "2024-02-23"]],
    ["0 0 1 jan-mar/2 *", "2024-01-01T00:00:00Z", ["2024-03-01", "2025-01-01"]],
    ["0 0 * * 7", "2024-02-01T00:00:00Z", ["2024-02-04", "2024-02-11"]],
    ["  0\t0   *  * 0 ", "2024-02-01T00:00:00Z", ["2024-02-04", "2024-02-11"]],
    ["@hourly", "2024-02-01T00:00:00Z", ["2024-02-01T01:00", "2024-02-01T02:00"]],
    ["@midnight", "2024-02-01T00:00:00Z", ["2024-02-02", "2024-02-03"]],
    ["@daily", "2024-02-01T00:00:00Z", ["2024-02-02", "2024-02-03"]],
    ["@weekly", "2024-02-01T00:00:00Z", ["2024-02-04", "2024-02-11"]],
    ["@monthly", "2024-02-01T00:00:00Z", ["2024-03-01", "2024-04-01"]],
    ["@yearly", "2024-02-01T00:00:00Z", ["2025-01-01", "2026-01-01"]],
    ["@annually", "2024-02-01T00:00:00Z", ["2025-01-01", "2026-01-01"]],
    ["@weekdays", "2024-02-02T00:00:00Z", ["2024-02-05", "2024-02-06"]],
    ["@weekends", "2024-02-02T00:00:00Z", ["2024-02-03", "2024-02-04", "2024-02-10"]],
    ["@minutely", "2024-02-01T00:00:00Z", ["2024-02-01T00:01", "2024-02-01T00:02"]],
    ["@secondly", "2024-02-01T00:00:00Z", ["2024-02-01T00:00:01", "2024-02-01T00:00:02"]]
  ])("reads %s", (expression, after, expected) => {
    const full = expected.map((slot) => `${slot}${"T00:00:00.000Z".slice(slot.length - 10)}`)
    assert.deepStrictEqual(iso(Recurrence.unsafeCron(expression), full.length, after), full)
  })

  it("counts fields by the zone's clock", () => {
    const self = Recurrence.unsafeCron("0 9 * * *", { timezone: "Asia/Kathmandu" })
    assert.deepStrictEqual(iso(self, 1, "2024-02-01T00:00:00Z"), ["2024-02-01T03:15:00.000Z"])
  })

  it("names the field that breaks a rule, and does not repeat the text", () => {
    const cases = [
      ["60 * * * *", "minute"],
      ["99 * * * * *", "second"],
      ["0 24 * * *", "hour"],
      ["0 0 32 * *", "dayOfMonth"],
      ["0 0 * FOO *", "month"],
      ["0 0 * 13 *", "month"],
      ["0 0 * * 8", "dayOfWeek"],
      ["0 0 * * 1#6", "dayOfWeek"],
      ["*/0 * * * *", "minute"],
      ["H * * * *", "minute"],
      ["0 0 30 2 *", "dayOfMonth"],
      ["0 0 31 2,4,6 *", "dayOfMonth"],
      ["*/15 2 * 3 0#2", "expression", "America/New_York"],
      ["", "expression"],
      ["* * * *", "expression"],
      ["@fortnightly", "expression"],
      [`${"0,".repeat(128)}0 * * * *`, "expression"],
      ["0 0 * * *", "timezone", "Mars/Olympus"],
      ["0 0 * * *", "timezone", "+02:00"],
      ["0 0 * * *", "timezone", ""]
    ] as const
    for (const [expression, field, timezone] of cases) {
      const error = refusal(expression, timezone)
      assert.strictEqual(error.field, field, expression)
      if (expression !== "") assert.notInclude(error.message, expression)
    }
    assert.throws(
      () => Recurrence.unsafeCron("60 * * * *"),
      JobError.InvalidRecurrence,
      /^minute: must be \* or 0 to 59/
    )
  })
})

describe("Recurrence.next and upcoming", () => {
  it("are strictly later than asked, data first or last", () => {
    const self = Recurrence.unsafeCron("* * * * * *")
    const at = DateTime.unsafeMake("2024-01-01T00:00:00Z")
    const second = DateTime.unsafeMake("2024-01-01T00:00:01Z")
    assert.deepStrictEqual(Recurrence.next(self, at), Option.some(second))
    assert.deepStrictEqual(Recurrence.next(at)(self), Option.some(second))
    assert.deepStrictEqual(Recurrence.next(self, DateTime.subtract(at, { millis: 1 })), Option.some(at))
    assert.deepStrictEqual(Recurrence.upcoming(1, at)(self), [second])
    assert.deepStrictEqual(Recurrence.upcoming(self, 0, at), [])
    assert.throws(() => Recurrence.upcoming(self, -1, at), JobError.InvalidOption)
  })

  it("end with the calendar", () => {
    assert.deepStrictEqual(Recurrence.next(Recurrence.every("1 day"), 8_640_000_000_000_000), Option.none())
    assert.deepStrictEqual(Recurrence.next(Recurrence.unsafeCron("@daily"), 8_640_000_000_000_000), Option.none())
    assert.isTrue(Option.isSome(Recurrence.next(Recurrence.unsafeCron("@daily"), -8_640_000_000_000_000)))
  })
})

describe("the text of a recurrence", () => {
  const texts = [
    [Recurrence.every("5 minutes"), "every 5 minutes"],
    [Recurrence.every("1 hour"), "every 1 hour"],
    [Recurrence.every("2 weeks"), "every 14 days"],
    [Recurrence.every(1_500), "every 1500 millis"],
    [Recurrence.every(90_000, { anchor: "2024-01-01T00:00:00Z" }), "every 90 seconds from 2024-01-01T00:00:00.000Z"],
    [Recurrence.unsafeCron("0 3  * * *", { timezone: "Europe/Oslo" }), "cron 0 3 * * * in Europe/Oslo"],
    [Recurrence.unsafeCron("@daily"), "cron @daily in UTC"]
  ] as const

  it("is readable, and is read back as an equal value", () => {
    for (const [self, text] of texts) {
      assert.strictEqual(Recurrence.toString(self), text)
      assert.strictEqual(String(self), text)
      const read = Either.getOrThrow(Recurrence.fromString(text))
      assert.isTrue(Equal.equals(read, self))
      assert.strictEqual(Hash.hash(read), Hash.hash(self))
    }
    assert.isFalse(
      Equal.equals(Recurrence.unsafeCron("@daily"), Recurrence.unsafeCron("@daily", { timezone: "Asia/Tokyo" }))
    )
  })

  it("survives for any recurrence, and names the same slots", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.oneof(
          FastCheck.tuple(arbitrary, FastCheck.constantFrom(...zones)).map(([{ text }, timezone]) =>
            Recurrence.unsafeCron(text, { timezone })
          ),
          FastCheck.tuple(
            FastCheck.integer({ min: 1_000, max: 1_000_000_000_000_000 }),
            FastCheck.date({ noInvalidDate: true })
          ).map(([period, anchor]) => Recurrence.every(period, { anchor }))
        ),
        (self) => {
          const read = Either.getOrThrow(Recurrence.fromString(Recurrence.toString(self)))
          assert.isTrue(Equal.equals(read, self))
          assert.deepStrictEqual(iso(read, 3, 0), iso(self, 3, 0))
        }
      )
    )
  })

  it("is refused when it is none", () => {
    const fieldOf = (text: string) =>
      Either.mapBoth(Recurrence.fromString(text), { onLeft: ({ field }) => field, onRight: String })
    assert.deepStrictEqual(fieldOf("every now and then"), Either.left("duration"))
    assert.deepStrictEqual(fieldOf("every 10 millis"), Either.left("duration"))
    assert.deepStrictEqual(fieldOf("every 10 minutes from noon"), Either.left("anchor"))
    assert.deepStrictEqual(fieldOf("cron 61 * * * * in UTC"), Either.left("minute"))
    assert.deepStrictEqual(fieldOf("cron 1 * * * * in Nowhere"), Either.left("timezone"))
    assert.deepStrictEqual(fieldOf("1 * * * *"), Either.left("text"))
    assert.deepStrictEqual(fieldOf(`cron ${" ".repeat(100_000)}`), Either.left("text"))
  })

  it("is the encoding of the schema", () => {
    const self = Recurrence.unsafeCron("0 3 * * *", { timezone: "Europe/Oslo" })
    assert.strictEqual(Schema.encodeSync(Recurrence.Schema)(self), "cron 0 3 * * * in Europe/Oslo")
    assert.isTrue(Equal.equals(Schema.decodeSync(Recurrence.Schema)("cron 0 3 * * * in Europe/Oslo"), self))
    const failed = Schema.decodeEither(Recurrence.Schema)("cron 0 25 * * * in Europe/Oslo")
    assert.include(
      Either.isLeft(failed) ? ParseResult.TreeFormatter.formatErrorSync(failed.left) : "",
      "hour: must be * or 0 to 23"
    )
  })
})
