import { dropDatabase } from "../storage/mongoServer/database.js"
import { dropSchema } from "../storage/servers.js"

/** Removes what the storage of this spec has made on a server. */
export const drop = async (spec: string): Promise<void> => {
  const [kind, place = "", ...rest] = spec.split(":")
  if (kind === "pg") await dropSchema(rest.join(":"), place)
  if (kind === "mongo") await dropDatabase(rest.join(":"), place)
}
