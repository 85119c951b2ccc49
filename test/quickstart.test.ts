/** The quickstart runs on every storage when its storage import and its storage line are changed. */
import { execFile } from "node:child_process"
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { promisify } from "node:util"
import { afterAll, assert, describe, it } from "vitest"
import { everyStorage } from "./storage/everyStorage.js"

const root = fileURLToPath(new URL("../", import.meta.url))
const tsx = pathToFileURL(join(root, "node_modules/tsx/dist/loader.mjs")).href
const quickstart = await readFile(join(root, "examples/quickstart.ts"), "utf8")
// inside the repository, so that it finds the packages that the examples find
await mkdir(join(root, ".cache"), { recursive: true })
const directory = await mkdtemp(join(root, ".cache/quickstart-"))
const { stop, storages } = await everyStorage()

afterAll(async () => {
  await stop()
  await rm(directory, { recursive: true, force: true })
})

const importLine = 'import * as SqliteStorage from "dbjobq/storage/SqliteStorage"'
const layerExpression = 'SqliteStorage.layer({ filename: "jobs.db" })'

/** Replaces what is there exactly once. */
const replaced = (text: string, part: string, by: string): string => {
  const [before, after, ...more] = text.split(part)
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(`examples/quickstart.ts no longer has, once: ${part}`)
  }
  return before + by + after
}

describe("quickstart", { timeout: 90_000 }, () => {
  for (const { fresh, module, name } of storages) {
    if (fresh === undefined) {
      it.skip(`${name}: no server`, () => {})
      continue
    }
    it(name, async () => {
      const { source } = await fresh()
      const changed = replaced(quickstart, importLine, `import * as ${module} from "dbjobq/storage/${module}"`)
      const program = join(directory, `${module}.ts`)
      await writeFile(program, replaced(changed, layerExpression, source))
      const { stdout } = await promisify(execFile)(process.execPath, ["--import", tsx, program], {
        cwd: directory,
        timeout: 80_000,
        env: { ...process.env, TSX_TSCONFIG_PATH: join(root, "tsconfig.json") }
      })
      const out = stdout.trim().split("\n")
      assert.deepStrictEqual(
        out.filter((line) => line.startsWith("  email")),
        ["Bob, urgent", "Ann, normal", "Cid, two seconds later"].map((to) => `  email to ${to}`)
      )
      assert.includeMembers(out, ["  mail: 3 completed", "  default: 1 completed"])
      assert.strictEqual(out.at(-1), "stopped, nothing is lost")
    })
  }
})
