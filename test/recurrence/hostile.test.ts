import { assert, describe, it } from "@effect/vitest"
import { Recurrence } from "dbjobq"
import { Either, Option } from "effect"
import { accepted, refused } from "./hostile.js"

/** The least of several, since a shared machine may take its time at any one of them. */
const fastest = (answer: () => unknown): number =>
  Math.min(
    ...Array.from({ length: 10 }, () => {
      const begin = performance.now()
      answer()
      return performance.now() - begin
    })
  )

const shown = (text: string) => JSON.stringify(text.slice(0, 60))

describe("hostile expressions", () => {
  it("are over 200 different ones", () => {
    assert.isAtLeast(new Set([...refused, ...accepted]).size, 200)
  })

  it("are refused by field and rule, within 5 ms, without their text", () => {
    for (const text of refused) {
      const made = Recurrence.cron(text, { timezone: "America/New_York" })
      if (Either.isRight(made)) return assert.fail(`accepted ${shown(text)}`)
      assert.isNotEmpty(made.left.field)
      assert.isAtMost(made.left.message.length, 300)
      if (text.trim().length > 12) assert.notInclude(made.left.message, text)
      assert.isBelow(
        fastest(() => Recurrence.cron(text, { timezone: "America/New_York" })),
        5,
        shown(text)
      )
    }
  })

  it("that do recur name their next slot within 5 ms, zone included", () => {
    for (const text of accepted) {
      const answer = () => Recurrence.next(Recurrence.unsafeCron(text, { timezone: "America/New_York" }), "2025-01-01")
      assert.isTrue(Option.isSome(answer()), shown(text))
      assert.isBelow(fastest(answer), 5, shown(text))
    }
  })

  it("that match only hours the clock skips are refused within 5 ms", () => {
    const answer = () => Recurrence.cron("*/15 2 * 3 0#2", { timezone: "America/New_York" })
    assert.isTrue(Either.isLeft(answer()))
    assert.isBelow(fastest(answer), 5)
  })

  it("as zones are refused within 5 ms", () => {
    const zones = [
      "",
      " ",
      "UTC ",
      "Mars/Olympus",
      "+25:00",
      "../UTC",
      "__proto__",
      "Europe/Oslo\u0000",
      "x".repeat(100_000)
    ]
    for (const timezone of zones) {
      const answer = () => Recurrence.cron("* * * * *", { timezone })
      assert.strictEqual(Either.getOrThrow(Either.flip(answer())).field, "timezone")
      assert.isBelow(fastest(answer), 5, shown(timezone))
    }
  })
})
