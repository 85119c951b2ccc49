/** Pages that walk through an example show its code as it is. */
import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "vitest"

const read = (path: string) => readFile(fileURLToPath(new URL(`../${path}`, import.meta.url)), "utf8")

// a page shows the inside of a function without its indentation
const flat = (text: string): string => text.replace(/^ +/gm, "").trim()

describe("docs", () => {
  it("write-a-storage: every block of code is in the example, its test, or what they use", async () => {
    const page = await read("docs/write-a-storage.md")
    const blocks = Array.from(page.matchAll(/^```ts\n(.*?)^```/gms), ([, code = ""]) => flat(code))
    const sources = await Promise.all(
      ["examples/file-storage.ts", "examples/file-storage.test.ts", "src/Rows.ts", "src/internal/transitions.ts"].map(
        async (path) => flat(await read(path))
      )
    )
    assert.isAbove(blocks.length, 8)
    for (const block of blocks) {
      assert.isTrue(
        sources.some((source) => source.includes(block)),
        block
      )
    }
  })

  it("write-a-storage: the example is as short as the page says", async () => {
    const page = await read("docs/write-a-storage.md")
    const lines = (await read("examples/file-storage.ts"))
      .split("\n")
      .filter((line) => !/^\s*(\/\/.*|\/\*\*.*)?$/.test(line))
    assert.include(page, `${lines.length} lines of code`)
    assert.isBelow(lines.length, 150)
  })
})
