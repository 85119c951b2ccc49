// What proves a storage: the contract that every storage keeps, and random operations against a model.
import { NodeFileSystem } from "@effect/platform-node"
import { FileSystem } from "@effect/platform"
import { Effect, Layer } from "effect"
import { storageContract, storageModel } from "dbjobq/testing"
import * as FileStorage from "./file-storage.js"

const folder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped({ prefix: "file-storage-" }))
const fresh = Layer.unwrapScoped(Effect.map(folder, (path) => FileStorage.layer(`${path}/jobs.json`)))
const layer = Layer.provide(fresh, NodeFileSystem.layer)

storageContract("FileStorage", layer)
storageModel("FileStorage", layer)
