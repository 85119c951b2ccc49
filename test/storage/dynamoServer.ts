/** Where the DynamoDB tests run: `DBJOBQ_TEST_DYNAMO_ENDPOINT` ("aws" for AWS itself), else dynalite in this process. */
import { randomUUID } from "node:crypto"
import type { Server } from "node:http"
import { DeleteTableCommand, DynamoDBClient, type DynamoDBClientConfig } from "@aws-sdk/client-dynamodb"
import dynalite from "dynalite"

export interface DynamoServer {
  readonly config: DynamoDBClientConfig
  /** The same for `DynamoStorage.layer`. */
  readonly options: ReturnType<typeof optionsFor>
  readonly endpoint: string
  readonly freshTable: () => string
  /** Removes the tables that were handed out. */
  readonly stop: () => Promise<void>
}

/** The environment says how to reach AWS; the others take any name and key. */
export const optionsFor = (endpoint: string) =>
  endpoint === "aws" ? {} : { endpoint, region: "local", credentials: { accessKeyId: "test", secretAccessKey: "test" } }

export const urlOf = (server: Server): string => {
  const address = server.address()
  return address === null || typeof address === "string" ? "" : `http://127.0.0.1:${address.port}`
}

export const dynamo = async (): Promise<DynamoServer> => {
  const given = process.env.DBJOBQ_TEST_DYNAMO_ENDPOINT
  const server = given === undefined ? dynalite({ createTableMs: 0, deleteTableMs: 0 }) : undefined
  await new Promise<void>((resolve) => (server === undefined ? resolve() : server.listen(0, "127.0.0.1", resolve)))
  const endpoint = server === undefined ? (given ?? "aws") : urlOf(server)
  const config = optionsFor(endpoint)
  const tables: Array<string> = []
  return {
    config,
    options: config,
    endpoint,
    freshTable: () => {
      const table = `dbjobq-test-${randomUUID()}`
      tables.push(table)
      return table
    },
    stop: async () => {
      const client = new DynamoDBClient(config)
      // a test that failed early has made no table
      if (server === undefined) {
        await Promise.allSettled(tables.map((TableName) => client.send(new DeleteTableCommand({ TableName }))))
      }
      client.destroy()
      server?.closeAllConnections()
      await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())))
    }
  }
}
