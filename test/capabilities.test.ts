/** README's table of what the storages differ in says what they say themselves. */
import { readFile } from "node:fs/promises"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Capabilities, JobStorage } from "../src/JobStorage.js"
import { everyStorage } from "./storage/everyStorage.js"

const { stop, storages } = await everyStorage()
const readme = await readFile(new URL("../README.md", import.meta.url), "utf8")
const table = readme.split("<!-- capabilities -->")[1]?.split("<!-- /capabilities -->")[0] ?? ""
const lines = table.trim().split("\n")

afterAll(stop)

/** What JobQueue and Worker take at most, on any storage. */
const largest = { payload: 262_144, result: 1_048_576 }

const wakeups = { none: "none, it polls", hint: "hint, it polls as well", exact: "exact, it never polls" }
const yesNo = (yes: boolean): string => (yes ? "yes" : "no")
const size = (bytes: number, cap: number): string => `${Math.min(bytes, cap) / 1024} KiB`

const row = (name: string, { limits, ...of }: Capabilities): string =>
  `| ${[
    name,
    yesNo(of.transactional),
    yesNo(of.transactional),
    wakeups[of.wakeups],
    yesNo(of.storeClock),
    yesNo(of.durable),
    size(limits.payloadBytes, largest.payload),
    size(limits.resultBytes, largest.result),
    Number.isFinite(limits.atomicInsert) ? limits.atomicInsert.toLocaleString("en") : "any number"
  ].join(" | ")} |`

describe("capabilities in README", () => {
  it("one row for each storage, in order", () => {
    assert.deepStrictEqual(
      lines.slice(2).map((line) => line.split("|")[1]?.trim()),
      storages.map(({ name }) => name)
    )
  })

  storages.forEach(({ fresh, name }, index) => {
    if (fresh === undefined) return it.skip(`${name}: no server`, () => {})
    it.live(name, () =>
      Effect.gen(function* () {
        const { layer } = yield* Effect.promise(fresh)
        const { capabilities } = yield* Effect.provide(JobStorage, layer)
        assert.strictEqual(lines[index + 2], row(name, capabilities))
      })
    )
  })
})
