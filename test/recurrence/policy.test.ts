import { assert, describe, it } from "@effect/vitest"
import { Recurrence } from "dbjobq"
import { FastCheck } from "effect"
import { latest } from "../../src/internal/recurrence.js"
import { arbitrary } from "./expression.js"
import * as Oracle from "./oracle.js"
import { history, zones } from "./zones.js"

const iso = (expression: string, timezone: string, n: number, after: string) =>
  Recurrence.upcoming(Recurrence.unsafeCron(expression, { timezone }), n, after).map((slot) =>
    new Date(slot.epochMillis).toISOString().replace(":00.000Z", "Z")
  )

describe("recurrences where a clock changes", () => {
  it("agree with a scan of the wall clock on 400 random expressions in 40 zones", () => {
    const leapDays = ["2024-02-29T12:00:00Z", "2028-02-29T12:00:00Z"].map(Date.parse)
    const random = FastCheck.sample(FastCheck.integer({ min: Date.UTC(2024, 0, 5), max: Date.UTC(2030, 11, 25) }), 1)
    const scanned = zones.map((zone) => ({
      zone,
      windows: Oracle.windows(zone, [...(history[zone] ?? []).map(Date.parse), ...leapDays, ...random])
    }))
    FastCheck.assert(
      FastCheck.property(arbitrary, FastCheck.nat(1_000), (expression, pick) => {
        for (const { zone, windows } of scanned) {
          const window = windows[pick % windows.length]
          if (window === undefined) return assert.fail("nothing scanned")
          const expected = Oracle.slots(expression, window)
          const recurrence = Recurrence.unsafeCron(expression.text, { timezone: zone })
          const answered = latest(recurrence, 1_000_000, window.checked - 1, window.end - 1)
          if (answered.length !== expected.length || answered.some((slot, n) => slot !== expected[n])) {
            assert.deepStrictEqual(answered, expected, `${expression.text} in ${zone}`)
          }
        }
      }),
      { numRuns: 400 }
    )
  }, 120_000)

  it("run a fixed time in the gap once, shifted by the gap", () => {
    assert.deepStrictEqual(iso("30 2 * * *", "Europe/Oslo", 3, "2024-03-29T12:00:00Z"), [
      "2024-03-30T01:30Z",
      "2024-03-31T01:30Z",
      "2024-04-01T00:30Z"
    ])
    // two fixed times that become one run once
    assert.deepStrictEqual(iso("30 2,3 * * *", "Europe/Oslo", 2, "2024-03-30T12:00:00Z"), [
      "2024-03-31T01:30Z",
      "2024-04-01T00:30Z"
    ])
    assert.deepStrictEqual(iso("0 0 * * *", "America/Sao_Paulo", 2, "2018-11-03T12:00:00Z"), [
      "2018-11-04T03:00Z",
      "2018-11-05T02:00Z"
    ])
    assert.deepStrictEqual(iso("10 2 * * *", "Australia/Lord_Howe", 1, "2024-10-05T00:00:00Z"), ["2024-10-05T15:40Z"])
  })

  it("run a fixed time in the fold once, the first time round", () => {
    assert.deepStrictEqual(iso("30 2 * * *", "Europe/Oslo", 2, "2024-10-26T12:00:00Z"), [
      "2024-10-27T00:30Z",
      "2024-10-28T01:30Z"
    ])
    assert.deepStrictEqual(iso("30 1,2 * * *", "Europe/Oslo", 3, "2024-10-26T12:00:00Z"), [
      "2024-10-26T23:30Z",
      "2024-10-27T00:30Z",
      "2024-10-28T00:30Z"
    ])
  })

  it("run intervals in real elapsed time through both", () => {
    assert.deepStrictEqual(iso("0 * * * *", "America/New_York", 4, "2024-11-03T04:30:00Z"), [
      "2024-11-03T05:00Z",
      "2024-11-03T06:00Z",
      "2024-11-03T07:00Z",
      "2024-11-03T08:00Z"
    ])
    assert.deepStrictEqual(iso("*/30 * * * *", "Europe/Oslo", 4, "2024-03-31T00:30:00Z"), [
      "2024-03-31T01:00Z",
      "2024-03-31T01:30Z",
      "2024-03-31T02:00Z",
      "2024-03-31T02:30Z"
    ])
    // within an hour that the clock skips, and within one it shows twice
    assert.deepStrictEqual(iso("*/30 2 * * *", "Europe/Oslo", 1, "2024-03-30T12:00:00Z"), ["2024-04-01T00:00Z"])
    assert.deepStrictEqual(iso("*/30 2 * * *", "Europe/Oslo", 4, "2024-10-26T12:00:00Z"), [
      "2024-10-27T00:00Z",
      "2024-10-27T00:30Z",
      "2024-10-27T01:00Z",
      "2024-10-27T01:30Z"
    ])
  })

  it("have no slot on a date that does not exist", () => {
    assert.deepStrictEqual(iso("0 12 * * *", "Pacific/Apia", 2, "2011-12-29T12:00:00Z"), [
      "2011-12-29T22:00Z",
      "2011-12-30T22:00Z"
    ])
    assert.deepStrictEqual(iso("0 12 30 12 *", "Pacific/Apia", 1, "2011-01-01T00:00:00Z"), ["2012-12-29T22:00Z"])
    assert.deepStrictEqual(iso("0 0 29 2 *", "UTC", 2, "2096-03-01T00:00:00Z"), [
      "2104-02-29T00:00Z",
      "2108-02-29T00:00Z"
    ])
  })
})
