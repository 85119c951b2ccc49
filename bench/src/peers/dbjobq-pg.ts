import type { Peer } from "../peer.js"

export const dbjobqPg: Peer = {
  name: "dbjobq-pg",
  store: "postgres",
  settings: "defaults (prefetch 1,000)",
  finishedRows: "kept",
  durability: "synchronous_commit as the server has it",
  priorities: true,
  retries: true,
  against: "dbjobq-pg",
  open: async (place) => {
    const [{ layer }, { open }, { shortcuts }] = await Promise.all([
      import("dbjobq/storage/PgStorage"),
      import("../dbjobq.js"),
      import("../dbjobqSql.js")
    ])
    return open(layer({ url: place.url }), shortcuts)
  }
}
