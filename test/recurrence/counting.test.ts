import { assert, describe, it } from "@effect/vitest"
import { Recurrence } from "dbjobq"
import { FastCheck } from "effect"
import { Breach, countBetween, latest, nextAfter } from "../../src/internal/recurrence.js"
import { arbitrary } from "./expression.js"
import { zones } from "./zones.js"

const recurrences = FastCheck.oneof(
  FastCheck.tuple(arbitrary, FastCheck.constantFrom(...zones)).map(([expression, timezone]) =>
    Recurrence.unsafeCron(expression.text, { timezone })
  ),
  FastCheck.tuple(FastCheck.integer({ min: 1_000, max: 200_000_000 }), FastCheck.integer()).map(([period, anchor]) =>
    Recurrence.every(period, { anchor })
  )
)

/** Up to `n` slots within five years, one by one, and an instant before the one behind them. */
const plainly = (self: Recurrence.Recurrence, n: number, after: number) => {
  const found: Array<number> = []
  const end = after + 5 * 365 * 86_400_000
  let slot = nextAfter(self, after)
  while (typeof slot === "number" && slot <= end && found.length < n) {
    assert.isAbove(slot, found.at(-1) ?? after)
    found.push(slot)
    slot = nextAfter(self, slot)
  }
  return { found, until: typeof slot === "number" && slot <= end ? slot - 1 : end }
}

describe("slots of a range", () => {
  it("are counted and listed as next enumerates them", () => {
    FastCheck.assert(
      FastCheck.property(
        recurrences,
        FastCheck.integer({ min: Date.UTC(2011, 0, 1), max: Date.UTC(2030, 11, 25) }),
        FastCheck.integer({ min: 1, max: 300 }),
        FastCheck.integer({ min: 1, max: 50 }),
        (self, after, total, n) => {
          const { found, until } = plainly(self, total, after)
          assert.strictEqual(countBetween(self, after, until), found.length)
          assert.deepStrictEqual(latest(self, n, after, until), found.slice(-n))
          // both bounds on a slot: the first is left out, the last is not
          const [first, last] = [found.at(0), found.at(-1)]
          if (first !== undefined && last !== undefined) {
            assert.strictEqual(countBetween(self, first, last), found.length - 1)
            assert.deepStrictEqual(latest(self, 1, first, last), found.slice(1).slice(-1))
          }
        }
      ),
      { numRuns: 200 }
    )
  }, 120_000)

  it("a million missed minutes are counted, and the last of them found, in well under a second", () => {
    const self = Recurrence.unsafeCron("* * * * *", { timezone: "America/New_York" })
    const until = Date.UTC(2026, 5, 1)
    const begin = performance.now()
    assert.strictEqual(countBetween(self, until - 60_000_000_000, until), 1_000_000)
    assert.deepStrictEqual(latest(self, 2, until - 60_000_000_000, until), [until - 60_000, until])
    assert.isBelow(performance.now() - begin, 500)
    assert.strictEqual(countBetween(Recurrence.every("1 second"), 0, until), until / 1_000)
  })

  it("are none in an empty range", () => {
    const self = Recurrence.every("1 second")
    for (const until of [0, -5_000]) {
      assert.strictEqual(countBetween(self, 0, until), 0)
      assert.deepStrictEqual(latest(self, 3, 0, until), [])
    }
    assert.deepStrictEqual(latest(self, 0, 0, 5_000), [])
  })

  it("an answer that is not later is a breach, reported as a value", () => {
    const stuck = { ...Recurrence.every("1 minute") }
    for (const answer of [60_000, 59_999]) {
      const slots = { ...stuck.slots, next: () => answer }
      assert.deepStrictEqual(nextAfter({ slots }, 60_000), new Breach({ after: 60_000, answer }))
    }
    assert.strictEqual(nextAfter(stuck, 60_000), 120_000)
  })
})
