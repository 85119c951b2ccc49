/** Pages that walk through an example show its code as it is; README's code compiles, and its tables say what the code says. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Duration, Effect } from "effect"
import ts from "typescript"
import { assert, describe, it } from "vitest"
import { settings } from "../src/internal/worker/options.js"

const read = (path: string) => readFile(fileURLToPath(new URL(`../${path}`, import.meta.url)), "utf8")

// a page shows the inside of a function without its indentation
const flat = (text: string): string => text.replace(/^ +/gm, "").trim()

const root = fileURLToPath(new URL("../", import.meta.url))

const codeOf = (page: string): ReadonlyArray<string> =>
  Array.from(page.matchAll(/^```ts\n(.*?)^```/gms), ([, code = ""]) => code)

/** One module of all blocks: the first as it is, each other as the body of a generator that may use what the first defines. */
const moduleOf = ([first = "", ...others]: ReadonlyArray<string>): string => {
  const imports = new Map<string, Set<string>>()
  const modules = new Set<string>()
  const bare = (code: string): string =>
    code
      .replace(/^import \{ (.*) \} from (".*")\n/gm, (_, names: string, from: string) => {
        imports.set(from, new Set([...(imports.get(from) ?? []), ...names.split(", ")]))
        return ""
      })
      .replace(/^import \* as .*\n/gm, (line) => {
        modules.add(line)
        return ""
      })
  const bodies = others.map((code) => `Effect.gen(function* () {\n${bare(code)}})\n`)
  const program = bare(first)
  const head = Array.from(imports, ([from, names]) => `import { ${[...names].join(", ")} } from ${from}\n`)
  return [...head, ...modules, program, ...bodies].join("")
}

const problems = (file: string): ReadonlyArray<string> => {
  const config = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root)
  const program = ts.createProgram([file], { ...options, noUnusedLocals: false })
  return ts.getPreEmitDiagnostics(program).map(({ file: at, messageText, start = 0 }) => {
    const line =
      at === undefined ? "" : (at.text.slice(0, start).split("\n").pop() ?? "") + at.text.slice(start).split("\n")[0]
    return `${ts.flattenDiagnosticMessageText(messageText, "\n")}\n  ${line}`
  })
}

describe("docs", () => {
  it("README: every block of code compiles", { timeout: 60_000 }, async () => {
    const blocks = codeOf(await read("README.md"))
    assert.isAbove(blocks.length, 6)
    // inside the repository, so that it finds the packages that a user installs
    await mkdir(join(root, ".cache"), { recursive: true })
    const directory = await mkdtemp(join(root, ".cache/readme-"))
    try {
      const file = join(directory, "readme.ts")
      await writeFile(file, moduleOf(blocks))
      assert.deepStrictEqual(problems(file), [])
    } finally {
      await rm(directory, { recursive: true })
    }
  })

  it("README: the worker's options and defaults are those of the code", async () => {
    const { retention, ...defaults } = await Effect.runPromise(settings({}))
    const kept = Object.entries(retention).map(([state, age]) => [`retention.${state}`, age] as const)
    const table = (await read("README.md")).split("worker options -->")[1] ?? ""
    const said = Array.from(table.matchAll(/^\| `(.+?)` \| (.+?) \|/gm), ([, option = "", text = ""]) => {
      if (text === "none") return [option, new Map()] as const
      if (text === "true") return [option, true] as const
      const unit = Duration.decodeUnknown(text)
      return [option, unit._tag === "Some" ? Duration.toMillis(unit.value) : Number(text.replace(",", ""))] as const
    })
    assert.deepStrictEqual(Object.fromEntries(said), Object.fromEntries([...Object.entries(defaults), ...kept]))
  })

  it("write-a-storage: every block of code is in the example, its test, or what they use", async () => {
    const page = await read("docs/write-a-storage.md")
    const blocks = codeOf(page).map(flat)
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
