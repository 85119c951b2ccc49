/** A file per measurement, in a folder of its own. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import type { Store } from "./store.js"

const driver = async () => (await import("better-sqlite3")).default

export const sqlite: Store = {
  create: async () => ({ url: join(mkdtempSync(join(tmpdir(), "dbjobq-bench-")), "jobs.db"), prefix: "" }),
  destroy: async (place) => rmSync(dirname(place.url), { recursive: true, force: true }),
  describe: async () => {
    const Database = await driver()
    const db = new Database(":memory:")
    const version: unknown = db.prepare("SELECT sqlite_version()").pluck().get()
    db.close()
    return `SQLite: ${version}, WAL`
  },
  settle: async (place) => {
    const Database = await driver()
    const db = new Database(place.url)
    db.pragma("wal_checkpoint(TRUNCATE)")
    db.close()
  },
  holdSnapshot: async (place) => {
    const Database = await driver()
    const db = new Database(place.url)
    db.exec("BEGIN")
    db.prepare("SELECT count(*) FROM sqlite_master").get()
    return async () => {
      db.close()
    }
  }
}

/** Counts what this process runs through the driver. There is no server to count it at. */
export const countStatements = async (): Promise<() => number> => {
  const Database = await driver()
  const db = new Database(":memory:")
  let statements = 0
  const watch = (target: object, name: string) => {
    const original: unknown = Reflect.get(target, name)
    if (typeof original !== "function") return
    Reflect.set(target, name, function (this: unknown, ...args: ReadonlyArray<unknown>) {
      statements++
      return Reflect.apply(original, this, args)
    })
  }
  const prepared: unknown = Object.getPrototypeOf(db.prepare("SELECT 1"))
  if (typeof prepared === "object" && prepared !== null) {
    for (const name of ["run", "get", "all", "iterate"]) watch(prepared, name)
  }
  watch(Database.prototype, "exec")
  db.close()
  return () => statements
}
