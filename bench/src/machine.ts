/** Where it ran. */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { cpus, loadavg, release, totalmem } from "node:os"
import { dirname, join } from "node:path"
import type { StoreName } from "./peer.js"
import { stores } from "./stores/index.js"

const resolve = createRequire(import.meta.url).resolve

const installed = [
  "effect",
  "graphile-worker",
  "pg-boss",
  "bullmq",
  "plainjob",
  "pg",
  "ioredis",
  "mysql2",
  "better-sqlite3"
]

/** A package's version, from the manifest above the file it resolves to: few packages export their manifest. */
const version = (name: string): string => {
  for (let folder = dirname(resolve(name)); folder !== dirname(folder); folder = dirname(folder)) {
    try {
      const manifest: { name?: string; version?: string } = JSON.parse(
        readFileSync(join(folder, "package.json"), "utf8")
      )
      if (manifest.name === name) return `${name} ${manifest.version}`
    } catch {
      // no manifest here; it is further up
    }
  }
  return name
}

export const machine = async (used: ReadonlyArray<StoreName>): Promise<Readonly<Record<string, string>>> => ({
  machine: `Node ${process.version.slice(1)}, Linux ${release()}, ${cpus().length} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GB; load average ${loadavg()[0]?.toFixed(1)} at the start`,
  ...Object.fromEntries(
    await Promise.all([...new Set(used)].map(async (store) => [store, await stores[store].describe()] as const))
  ),
  packages: installed.map(version).join(", ")
})
