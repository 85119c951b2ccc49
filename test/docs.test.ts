/** Pages that walk through an example show its code as it is. */
import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "vitest"

const read = (path: string) => readFile(fileURLToPath(new URL(`../${path}`, import.meta.url)), "utf8")

// a page shows the inside of a function without its indentation
const flat = (text: string): string => text.replace(/^ +/gm, "").trim()

describe("docs", () => {
  it("write-a-storage: every block of code is in the example or in its test", async () => {
    const page = await read("docs/write-a-storage.md")
    const blocks = Array.from(page.matchAll(/^```ts\n(.*?)^```/gms), ([, code = ""]) => flat(code))
    const sources = [flat(await read("examples/file-storage.ts")), flat(await read("examples/file-storage.test.ts"))]
    assert.isAbove(blocks.length, 8)
    for (const block of blocks) {
      assert.isTrue(
        sources.some((source) => source.includes(block)),
        block
      )
    }
  })
})
