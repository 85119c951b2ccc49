/** What the server must be before the storage begins. */
import * as Effect from "effect/Effect"
import { StorageError } from "../../JobError.js"
import type { Connection } from "./connection.js"
import * as Reply from "./reply.js"
import * as Script from "./script.js"

// asked in a script, so that a cluster answers for the node that has the keys
const script = Script.make("open", "reads", `return { redis.call('INFO', 'server'), redis.call('INFO', 'memory') }`)

const refuse = (message: string) => Effect.fail(new StorageError({ operation: "open", message, isTransient: false }))

const field = (info: string, name: string): string | undefined => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1]

/** Scripts that announce whether they write need Redis 7. */
export const check = (connection: Connection, allowEviction: boolean): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const [server = "", memory = ""] = yield* connection.run(script, [""], (reply) => Reply.list(reply).map(Reply.text))
    const version = field(server, "redis_version") ?? "unknown"
    if (!(Number.parseInt(version, 10) >= 7))
      return yield* refuse(`open: Redis 7.0 or later is needed, this is ${version}`)
    const policy = field(memory, "maxmemory_policy") ?? "unknown"
    if (policy !== "noeviction" && !allowEviction) {
      return yield* refuse(
        `open: maxmemory-policy is ${policy}, under which Redis may drop jobs; set it to noeviction, or the option allowEviction`
      )
    }
  })
