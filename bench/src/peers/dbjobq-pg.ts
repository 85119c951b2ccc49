import type { Peer } from "../peer.js"

const make = (name: string, settings: string, batched: "both" | "claims" | "nothing"): Peer => ({
  name,
  store: "postgres",
  settings,
  finishedRows: "kept",
  durability: "synchronous_commit as the server has it",
  priorities: true,
  retries: true,
  against: "dbjobq-pg",
  open: async (place) => {
    const [{ layer }, { open, withStorage }, { shortcuts }, { oneByOne, settleOneByOne }] = await Promise.all([
      import("dbjobq/storage/PgStorage"),
      import("../dbjobq.js"),
      import("../dbjobqSql.js"),
      import("../oneByOne.js")
    ])
    const storage = layer({ url: place.url })
    switch (batched) {
      case "both":
        return open(storage, shortcuts)
      case "claims":
        return open(withStorage(storage, settleOneByOne), shortcuts)
      case "nothing":
        return open(withStorage(storage, oneByOne), shortcuts, { prefetch: 0 })
    }
  }
})

export const dbjobqPg = make("dbjobq-pg", "defaults", "both")
export const dbjobqPgSettle1 = make(
  "dbjobq-pg-settle-1",
  "defaults; one commit a job when it ends, ten under way",
  "claims"
)
export const dbjobqPgSingle = make(
  "dbjobq-pg-single",
  "prefetch 0; one claim and one commit a job, ten under way: nothing batched, as graphile-default",
  "nothing"
)
