import type { Peer } from "../peer.js"

const make = (name: string, synchronous: "normal" | "full", durability: string): Peer => ({
  name,
  store: "sqlite",
  settings: "defaults otherwise",
  finishedRows: "kept",
  durability,
  priorities: true,
  retries: true,
  against: synchronous === "full" ? "dbjobq-sqlite-full" : "dbjobq-sqlite",
  open: async (place) => {
    const [{ layer }, { open }, { shortcuts }] = await Promise.all([
      import("dbjobq/storage/SqliteStorage"),
      import("../dbjobq.js"),
      import("../dbjobqSql.js")
    ])
    return open(layer({ filename: place.url, synchronous }), shortcuts)
  }
})

export const dbjobqSqlite = make("dbjobq-sqlite", "normal", "synchronous NORMAL")
export const dbjobqSqliteFull = make("dbjobq-sqlite-full", "full", "synchronous FULL (its default)")
