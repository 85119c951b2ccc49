import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { JobStorage } from "../../src/JobStorage.js"
import * as MysqlStorage from "../../src/storage/MysqlStorage.js"
import { storageContract } from "../../src/testing/contract.js"
import { storageModel } from "../../src/testing/model.js"
import { job } from "./jobs.js"
import { mysql } from "./servers.js"
import { sqlSuite } from "./shared.js"

const server = await mysql()

afterAll(async () => {
  await server?.stop()
})

if (server === undefined) describe.skip("MySQL: no server", () => {})
else {
  const url = await server.database()
  storageContract("MySQL", MysqlStorage.layer({ url }))
  const other = await server.database()
  storageContract("MySQL, Effect's clock", MysqlStorage.layer({ url: other, clock: "effect" }))
  storageModel("MySQL, Effect's clock", MysqlStorage.layer({ url: await server.database(), clock: "effect" }))
  sqlSuite("MySQL", MysqlStorage.layer({ url: await server.database() }))

  const fresh = Effect.promise(server.database)

  describe("MysqlStorage", () => {
    it.live("ten starters at once", () =>
      Effect.gen(function* () {
        const layer = MysqlStorage.layer({ url: yield* fresh, maxConnections: 3 })
        yield* Effect.forEach(
          Array.from({ length: 10 }),
          () => Effect.flatMap(JobStorage, (storage) => storage.insert([job()])).pipe(Effect.provide(layer)),
          { concurrency: "unbounded" }
        )
        const counts = yield* Effect.flatMap(JobStorage, (storage) => storage.counts).pipe(Effect.provide(layer))
        assert.deepStrictEqual(counts, [{ queue: "default", state: "pending", count: 10 }])
      })
    )
  })
}
