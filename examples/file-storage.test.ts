// What proves a storage: the contract that every storage keeps, and random operations against a model.
import { FileSystem } from "@effect/platform"
import { NodeFileSystem } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { JobStorage } from "dbjobq"
import { storageContract, storageModel } from "dbjobq/testing/contract"
import * as FileStorage from "./file-storage.js"

const folder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped({ prefix: "file-storage-" }))
const fresh = Layer.unwrapScoped(Effect.map(folder, (path) => FileStorage.layer(`${path}/jobs.json`)))
const layer = Layer.provide(fresh, NodeFileSystem.layer)

storageContract("FileStorage", layer)
storageModel("FileStorage", layer)

// what the contract cannot know: how this storage is closed, and how it breaks

it.scoped("keeps its rows when it is opened again; a write that fails or dies half-way changes nothing", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* folder
    const open = Layer.build(Layer.fresh(FileStorage.layer(`${path}/jobs.json`)))
    const pause = (queue: string) => Effect.flatMap(JobStorage.JobStorage, (storage) => storage.pauseQueue(queue))
    const paused = Effect.flatMap(JobStorage.JobStorage, (storage) => storage.pausedQueues)
    const first = yield* open
    yield* Effect.provide(pause("mail"), first)
    // as a process leaves it that dies while it writes
    yield* fs.writeFileString(`${path}/jobs.json.new`, `{"jobs":[["a`)
    const again = yield* open
    assert.deepStrictEqual(yield* Effect.provide(paused, again), ["mail"])

    yield* fs.remove(path, { recursive: true })
    const error = yield* Effect.flip(Effect.provide(pause("other"), again))
    assert.deepInclude(error, { _tag: "StorageError", operation: "pauseQueue", isTransient: true })
    assert.deepStrictEqual(yield* Effect.provide(paused, again), ["mail"])
    yield* fs.makeDirectory(path)
    yield* Effect.provide(pause("other"), again)
    assert.deepStrictEqual(yield* Effect.provide(paused, yield* open), ["mail", "other"])
  }).pipe(Effect.provide(NodeFileSystem.layer))
)
