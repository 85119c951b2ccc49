import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import { ById } from "../../src/internal/worker/byId.js"

setFlagsFromString("--expose-gc")
const collect: (options?: { readonly type: "minor" }) => void = runInNewContext("gc")

const old = (): number =>
  getHeapSpaceStatistics().reduce((sum, space) => (space.space_name === "old_space" ? space.space_used_size : sum), 0)

describe("ById", () => {
  it("finds, replaces and forgets values, and gives them as they came", () => {
    const map = new ById<string>()
    for (const id of ["a", "b", "c"]) map.set(id, id)
    map.delete("a")
    map.delete("a")
    map.set("d", "d")
    map.set("b", "B")
    assert.deepStrictEqual(map.values(), ["B", "c", "d"])
    assert.strictEqual(map.size, 3)
    assert.strictEqual(map.get("b"), "B")
    assert.strictEqual(map.get("a"), undefined)
  })

  it("keeps those that stay among thousands that go", () => {
    const map = new ById<number>()
    const staying: Array<number> = []
    for (let n = 0; n < 30_000; n++) {
      map.set(`${n}`, n)
      if (n % 700 === 0) staying.push(n)
      const gone = n - 100
      if (gone >= 0 && gone % 700 !== 0) map.delete(`${gone}`)
    }
    for (let n = 29_900; n < 30_000; n++) if (n % 700 !== 0) map.delete(`${n}`)
    assert.deepStrictEqual(map.values(), staying)
    assert.strictEqual(map.size, staying.length)
    for (const n of staying) {
      assert.strictEqual(map.get(`${n}`), n)
      map.delete(`${n}`)
    }
    assert.deepStrictEqual(map.values(), [])
    assert.strictEqual(map.size, 0)
  })

  it("leaves what was deleted to young collections", () => {
    const map = new ById<ReadonlyArray<number>>()
    const pass = (from: number) => {
      for (let n = from; n < from + 10_000; n++) {
        map.set(`${n}`, new Array(200).fill(n))
        map.delete(`${n - 100}`)
        if (n % 500 === 0) collect({ type: "minor" })
      }
    }
    pass(0)
    collect()
    const before = old()
    pass(10_000)
    // a value has 1,600 bytes
    assert.isBelow((old() - before) / 10_000, 400)
  })
})
