import type { Peer } from "../peer.js"

export const dbjobqRedis: Peer = {
  name: "dbjobq-redis",
  store: "redis",
  settings: "defaults",
  finishedRows: "kept",
  durability: "as the Redis server has it",
  priorities: true,
  retries: true,
  against: "dbjobq-redis",
  open: async (place) => {
    const [{ layer }, { open }] = await Promise.all([import("dbjobq/storage/RedisStorage"), import("../dbjobq.js")])
    return open(layer({ url: place.url, prefix: place.prefix }))
  }
}
