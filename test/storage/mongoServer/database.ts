import { MongoClient } from "mongodb"

export const dropDatabase = async (url: string, database: string): Promise<void> => {
  const client = new MongoClient(url)
  await client.db(database).dropDatabase()
  await client.close()
}
