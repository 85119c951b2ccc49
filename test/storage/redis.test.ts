import { afterAll, assert, describe, it } from "@effect/vitest"
import * as RedisStorage from "../../src/storage/RedisStorage.js"
import { storageContract } from "../../src/testing/contract.js"
import { storageModel } from "../../src/testing/model.js"

const url = "redis://127.0.0.1:6379"
const p = () => `t-${Math.random()}`
storageContract("Redis", RedisStorage.layer({ url, prefix: p() }))
storageContract("Redis, Effect's clock", RedisStorage.layer({ url, prefix: p(), clock: "effect" }))
storageModel("Redis, Effect's clock", RedisStorage.layer({ url, prefix: p(), clock: "effect" }))
