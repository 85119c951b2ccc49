import * as MemoryStorage from "../../src/storage/MemoryStorage.js"
import { storageContract } from "../../src/testing/contract.js"
import { storageModel } from "../../src/testing/model.js"

storageContract("MemoryStorage", MemoryStorage.layer)
storageModel("MemoryStorage", MemoryStorage.layer, { numRuns: 200 })
