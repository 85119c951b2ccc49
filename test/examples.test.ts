import { execFile } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { promisify } from "node:util"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { postgres, type Server } from "./storage/servers.js"

const root = fileURLToPath(new URL("../", import.meta.url))
const tsx = pathToFileURL(join(root, "node_modules/tsx/dist/loader.mjs")).href

let cwd = ""
let server: Server | undefined

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), "dbjobq-examples-"))
  server = await postgres()
})

afterAll(async () => {
  await server?.stop()
  await rm(cwd, { recursive: true, force: true })
})

/** The lines an example prints; it must end by itself, with 0, and say nothing on stderr. */
const lines = async (example: string): Promise<ReadonlyArray<string>> => {
  const { stderr, stdout } = await promisify(execFile)(
    process.execPath,
    ["--import", tsx, join(root, "examples", `${example}.ts`)],
    {
      cwd,
      timeout: 60_000,
      env: {
        ...process.env,
        TSX_TSCONFIG_PATH: join(root, "tsconfig.json"),
        ...(server === undefined ? {} : { DATABASE_URL: server.url })
      }
    }
  )
  assert.strictEqual(stderr, "")
  return stdout.trim().split("\n")
}

// a busy machine starts three processes slowly
describe("examples", { timeout: 70_000 }, () => {
  it("quickstart", async () => {
    const out = await lines("quickstart")
    const imports = out.filter((line) => line.startsWith("  import"))
    assert.deepStrictEqual(
      imports,
      [1, 2, 3].map((attempt) => `  import people.csv, attempt ${attempt} of 4`)
    )
    const emails = out.filter((line) => line.startsWith("  email"))
    assert.deepStrictEqual(
      emails,
      ["Bob, urgent", "Ann, normal", "Cid, two seconds later"].map((to) => `  email to ${to}`)
    )
    assert.isTrue(emails.every((line) => out.indexOf(line) > out.indexOf("resumed, highest priority first:")))
    assert.include(out, "the delayed job answered: sent to Cid, two seconds later")
    assert.includeMembers([...out], ["  mail: 3 completed", "  default: 1 completed"])
    assert.strictEqual(out.at(-1), "stopped, nothing is lost")
  })

  it("transactional-enqueue", async () => {
    assert.deepStrictEqual(await lines("transactional-enqueue"), [
      "order 2 was refused: an order needs a customer",
      "order 1 of Ann: shipped",
      "1 order, 1 job"
    ])
  })

  it("two-processes", async () => {
    const out = await lines("two-processes")
    const squares = out
      .filter((line) => /^worker [AB]: /.test(line))
      .flatMap((line) => line.slice("worker A: ".length).split(" ").map(Number))
    assert.deepStrictEqual(
      squares.sort((a, b) => a - b),
      Array.from({ length: 20 }, (_, n) => n * n)
    )
    assert.isTrue(out.some((line) => /^20 jobs done by [12] processes$/.test(line)))
    assert.includeMembers([...out], ["worker A stopped", "worker B stopped"])
  })

  it("recurring", async () => {
    const out = await lines("recurring")
    assert.isAtLeast(out.filter((line) => line === "  report of the pulse").length, 4)
    assert.includeMembers(
      [...out],
      ["disabled, it fired 0 times", "enabled again, it goes on", "  report of the night, by hand"]
    )
    assert.strictEqual(out.filter((line) => line === "  03:00 in Oslo").length, 3)
  })

  it("postgres", async (test) => {
    if (server === undefined) return test.skip("no PostgreSQL")
    const out = await lines("postgres")
    assert.deepStrictEqual(out.slice(0, 3), ["hello Ann", "hello Bob", "hello Cid"])
    assert.match(out.at(-1) ?? "", /^completed: \d+$/)
  })
})
