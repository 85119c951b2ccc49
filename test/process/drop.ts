import { dropDatabase } from "../storage/mongoServer/database.js"
import { dropKeys } from "../storage/redisServer.js"
import { dropSchema } from "../storage/servers.js"

/** Removes what the storage of this spec has made on a server that outlives the tests. */
export const drop = async (spec: string): Promise<void> => {
  const [kind, place = "", ...rest] = spec.split(":")
  const url = rest.join(":")
  if (kind === "pg") await dropSchema(url, place)
  if (kind === "mongo") await dropDatabase(url, place)
  if (kind === "redis") await dropKeys(url, place)
}
