/** The package as a user gets it: built, packed, and unpacked beside its peers in an empty folder. */
import { execFile } from "node:child_process"
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { afterAll, assert, beforeAll, describe, it } from "vitest"

const root = fileURLToPath(new URL("../", import.meta.url))
const exec = promisify(execFile)

let base = ""
let app = ""
/** Beside the required peers only: no driver, no test runner. */
let bare = ""

const node = (program: string, cwd = app) => exec(process.execPath, ["--input-type=module", "-e", program], { cwd })

const importing = async (specifier: string): Promise<string> => {
  const { stdout } = await node(`
    try { await import(${JSON.stringify(specifier)}); console.log("imported") } catch (error) { console.log(error.code) }
  `)
  return stdout.trim()
}

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "dbjobq-package-"))
  // build a copy, so that dist in the repository is not pulled from under another test
  const copy = join(base, "repo")
  await mkdir(copy)
  for (const name of [
    "src",
    "package.json",
    "tsconfig.json",
    "tsconfig.build.json",
    "README.md",
    "LICENSE",
    "CHANGELOG.md"
  ]) {
    await cp(join(root, name), join(copy, name), { recursive: true })
  }
  await symlink(join(root, "node_modules"), join(copy, "node_modules"))
  await exec(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"], {
    cwd: copy
  })
  const packed = await exec("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", base], { cwd: copy })
  const [{ filename }] = JSON.parse(packed.stdout)

  app = join(base, "app")
  const modules = join(app, "node_modules")
  await mkdir(join(modules, "dbjobq"), { recursive: true })
  await exec("tar", ["xzf", join(base, filename), "-C", join(modules, "dbjobq"), "--strip-components=1"])
  for (const name of await readdir(join(root, "node_modules"))) {
    if (!name.startsWith(".") && name !== "dbjobq") {
      await symlink(join(root, "node_modules", name), join(modules, name))
    }
  }
  bare = join(base, "bare")
  await mkdir(join(bare, "node_modules/@effect"), { recursive: true })
  await cp(join(modules, "dbjobq"), join(bare, "node_modules/dbjobq"), { recursive: true })
  for (const name of ["effect", "cron-parser", "@effect/experimental", "@effect/platform", "@effect/sql"]) {
    await symlink(join(root, "node_modules", name), join(bare, "node_modules", name))
  }
  await writeFile(join(app, "package.json"), JSON.stringify({ name: "app", private: true, type: "module" }))
  // a storage of one's own is proven with what the package exports
  await writeFile(
    join(app, "storage.test.ts"),
    `
    import { JobStorage } from "dbjobq"
    import * as MemoryStorage from "dbjobq/storage/MemoryStorage"
    import { storageContract, storageModel } from "dbjobq/testing/contract"
    import { Effect, Layer } from "effect"
    const own: Effect.Effect<JobStorage.Service> = MemoryStorage.make
    storageContract("own", Layer.effect(JobStorage.JobStorage, own), { timeout: 5_000 })
    storageModel("own", Layer.effect(JobStorage.JobStorage, own), { numRuns: 5 })
    `
  )
}, 120_000)

afterAll(() => rm(base, { recursive: true, force: true }))

describe("package", () => {
  it("runs a job from the built package", async () => {
    const { stdout } = await node(`
      import { Effect, Layer, Schema } from "effect"
      import { Job, JobQueue, Worker } from "dbjobq"
      import * as MemoryStorage from "dbjobq/storage/MemoryStorage"

      const Double = Job.make("Double", { payload: { n: Schema.Number }, success: Schema.Number })
      const Main = Worker.layer([Double]).pipe(
        Layer.provide(Double.toLayer(({ n }) => Effect.succeed(n * 2))),
        Layer.provideMerge(JobQueue.layer),
        Layer.provide(MemoryStorage.layer)
      )
      const program = Effect.flatMap(JobQueue.enqueue(Double, { n: 21 }), (id) => JobQueue.join(Double, id))
      console.log(await Effect.runPromise(Effect.provide(program, Main)))
    `)
    assert.strictEqual(stdout.trim(), "42")
  })

  it("opens every public subpath", async () => {
    const storages = (await readdir(join(root, "src/storage"))).filter((name) => name.endsWith(".ts"))
    for (const name of storages) {
      assert.strictEqual(await importing(`dbjobq/storage/${name.slice(0, -3)}`), "imported", name)
    }
    assert.strictEqual(await importing("dbjobq/JobQueue"), "imported")
    assert.strictEqual(await importing("dbjobq/testing"), "imported")
  })

  it("tests an application with the required peers only", async () => {
    const { stdout } = await node(
      `
      import { Effect, TestClock } from "effect"
      import { Job, JobQueue, Worker } from "dbjobq"
      import { drain, enqueued, run } from "dbjobq/testing"

      const Ping = Job.make("Ping")
      const program = Effect.gen(function* () {
        yield* JobQueue.enqueue(Ping, {}, { delay: "1 hour" })
        yield* drain
        const before = yield* enqueued(Ping)
        yield* TestClock.adjust("1 hour")
        yield* drain
        return [before.length, (yield* enqueued(Ping)).length]
      }).pipe(Effect.provide(Worker.layer([Ping])), Effect.provide(Ping.toLayer(() => Effect.void)))
      console.log(await Effect.runPromise(run(program)))
      `,
      bare
    )
    assert.strictEqual(stdout.trim(), "[ 1, 0 ]")
  })

  it("prints the SQL of the tables, or in one line why not", async () => {
    const bin = join(app, "node_modules/dbjobq/dist/bin.js")
    const { stdout } = await exec(process.execPath, [bin, "sql", "pg", "jobs"])
    assert.include(stdout, "CREATE TABLE")
    const refused = await exec(process.execPath, [bin, "sql", "pg", "bad-name"]).then(
      () => assert.fail("a bad schema must be refused"),
      (error) => error
    )
    assert.strictEqual(refused.code, 1)
    assert.strictEqual(refused.stdout, "")
    assert.match(refused.stderr, /^dbjobq: schema: must be [^\n]+\n$/)
  })

  it("keeps the inside closed", async () => {
    for (const specifier of [
      "dbjobq/internal/id",
      "dbjobq/internal/worker/engine",
      "dbjobq/storage/sql/claim",
      "dbjobq/testing/kit"
    ]) {
      assert.strictEqual(await importing(specifier), "ERR_PACKAGE_PATH_NOT_EXPORTED", specifier)
    }
  })

  it("types a user's program", async () => {
    await writeFile(
      join(app, "main.ts"),
      `
      import { Job, JobQueue } from "dbjobq"
      import { Schema } from "effect"
      const Double = Job.make("Double", { payload: { n: Schema.Number }, success: Schema.Number })
      export const good = JobQueue.enqueue(Double, { n: 1 })
      // @ts-expect-error: the payload is a number
      export const bad = JobQueue.enqueue(Double, { n: "1" })
      `
    )
    const tsc = join(root, "node_modules/typescript/bin/tsc")
    const options = ["--noEmit", "--strict", "--module", "NodeNext", "--target", "ES2022", "--skipLibCheck"]
    const { stdout } = await exec(process.execPath, [tsc, ...options, "main.ts", "storage.test.ts"], { cwd: app })
    assert.strictEqual(stdout, "")
  })

  it("proves a user's storage", async () => {
    const vitest = join(root, "node_modules/vitest/vitest.mjs")
    const options = ["run", "--root", app, "--reporter", "json", "-t", "a fresh row|model"]
    const { stdout } = await exec(process.execPath, [vitest, ...options], { cwd: app })
    const { numFailedTests, numPassedTests } = JSON.parse(stdout)
    assert.deepStrictEqual({ numFailedTests, numPassedTests }, { numFailedTests: 0, numPassedTests: 3 })
  })
})
