import type { Peer } from "../peer.js"

export const dbjobqMemory: Peer = {
  name: "dbjobq-memory",
  store: "memory",
  settings: "defaults",
  finishedRows: "kept",
  durability: "none",
  priorities: true,
  retries: true,
  against: "dbjobq-memory",
  open: async () => {
    const [{ layer }, { open }] = await Promise.all([import("dbjobq/storage/MemoryStorage"), import("../dbjobq.js")])
    return open(layer)
  }
}
