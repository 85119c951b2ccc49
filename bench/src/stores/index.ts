import type { StoreName } from "../peer.js"
import { mysql } from "./mysql.js"
import { postgres } from "./postgres.js"
import { redis } from "./redis.js"
import { sqlite } from "./sqlite.js"
import type { Store } from "./store.js"

const memory: Store = {
  create: async () => ({ url: "", prefix: "" }),
  destroy: async () => {},
  describe: async () => "memory: nothing survives the process"
}

export const stores: { readonly [S in StoreName]: Store } = { memory, sqlite, postgres, mysql, redis }
