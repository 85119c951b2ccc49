import { afterAll } from "@effect/vitest"
import { randomBytes } from "node:crypto"
import * as MongoStorage from "../../src/storage/MongoStorage.js"
import { storageContract } from "../../src/testing/contract.js"
import { storageModel } from "../../src/testing/model.js"
import { startFixture } from "./mongoServer/server.js"

const server = await startFixture({ replicaSet: true })
const fresh = () => `dbjobq_test_${randomBytes(6).toString("hex")}`

afterAll(() => server.stop())

storageContract("MongoDB", MongoStorage.layer({ url: server.url, database: fresh() }))
//storageContract("MongoDB, Effect's clock", MongoStorage.layer({ url: server.url, database: fresh(), clock: "effect" }))
storageModel("MongoDB", MongoStorage.layer({ url: server.url, database: fresh() }))
