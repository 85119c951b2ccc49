/** Runs a command with DATABASE_URL set: to the one given, the local server, or one started for the run. */
import { spawn } from "node:child_process"
import { postgres } from "../test/storage/servers.js"

const [command = "true", ...args] = process.argv.slice(2)

const run = (url: string) =>
  new Promise<number>((resolve) => {
    const child = spawn(command, args, {
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, DATABASE_URL: url }
    })
    child.on("error", () => resolve(1))
    child.on("exit", (code) => resolve(code ?? 1))
  })

const given = process.env.DATABASE_URL
const server = given === undefined ? await postgres() : { url: given, stop: async () => {} }
if (server === undefined) throw new Error("no PostgreSQL")
const code = await run(server.url)
await server.stop()
process.exit(code)
