import { DynamoDBClient } from "@aws-sdk/client-dynamodb"
import { afterAll } from "@effect/vitest"
import * as DynamoStorage from "../../src/storage/DynamoStorage.js"
import { storageContract } from "../../src/testing/contract.js"
import { storageModel } from "../../src/testing/model.js"
import { dynamo } from "./dynamoServer.js"

const server = await dynamo()
const client = new DynamoDBClient({ ...server.config, maxAttempts: 3 })

afterAll(async () => {
  client.destroy()
  await server.stop()
})

// one clock judges everything here, so a lease may end the moment it is over
const layer = (options: DynamoStorage.ClientOptions = {}) =>
  DynamoStorage.layerClient(client, { table: server.freshTable(), shards: 2, clockSkew: 0, ...options })

storageContract("DynamoStorage", layer(), { timeout: 120_000 })
storageModel("DynamoStorage", layer(), { numRuns: 15, timeout: 180_000 })
