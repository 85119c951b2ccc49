/** How a script is sent: by its hash, with a bound on what waits, and where it is asked for followed by WAIT. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Cluster, Redis } from "ioredis"
import { StorageError } from "../../JobError.js"
import type { Deadline } from "./deadline.js"
import { isNoScript, storageError } from "./errors.js"
import type { Script } from "./script.js"

type Args = ReadonlyArray<string | number>

/** Runs a script and reads its reply; a reader that throws is a `StorageError` too. */
export type Run = <A>(script: Script, args: Args, read: (reply: unknown) => A) => Effect.Effect<A, StorageError>

export interface Replication {
  readonly replicas: number
  /** Milliseconds. */
  readonly timeout: number
}

type Client = Redis | Cluster

type Command = "evalsha" | "eval"

const bySend = (client: Client, base: string) => (command: Command, script: Script, args: Args) =>
  client.call(command, [command === "eval" ? script.text : script.sha, 1, base, ...args])

/** WAIT counts the writes of its own connection, so it goes with the script in one pipeline. */
const byPipeline =
  (client: Client, base: string, { replicas, timeout }: Replication) =>
  async (command: Command, script: Script, args: Args): Promise<unknown> => {
    const results = await client
      .pipeline([
        [command, command === "eval" ? script.text : script.sha, 1, base, ...args],
        ["wait", replicas, timeout]
      ])
      .exec()
    const [[failed, reply] = [], [waitFailed, reached] = []] = results ?? []
    const error = failed ?? waitFailed
    if (error !== undefined && error !== null) throw error
    if (typeof reached === "number" && reached >= replicas) return reply
    throw new StorageError({
      operation: script.operation,
      message: `${script.operation}: written, but confirmed by ${String(reached)} of ${replicas} replicas in time`,
      isTransient: true
    })
  }

/** `write` is for what a caller is told is done: it waits for the replicas that are asked for. */
export const make = (
  client: Client,
  base: string,
  deadline: Deadline,
  maxWaiting: number,
  replication: Replication
): { readonly run: Run; readonly write: Run } => {
  const refused = (operation: string) =>
    new StorageError({
      operation,
      message: `${operation}: the connection is lost and ${maxWaiting} commands wait for it already`,
      isTransient: true
    })
  const through =
    (send: (command: Command, script: Script, args: Args) => Promise<unknown>): Run =>
    (script, args, read) =>
      Effect.async((resume) => {
        const { operation } = script
        if (client.status !== "ready" && deadline.waiting() >= maxWaiting)
          return resume(Effect.fail(refused(operation)))
        const fail = (error: unknown) => resume(Effect.fail(storageError(operation, error)))
        const answered = deadline.begin(() => fail(new Error("no answer in time")))
        const succeed = (reply: unknown) => {
          if (answered())
            resume(Either.try({ try: () => read(reply), catch: (error) => storageError(operation, error) }))
        }
        const refuse = (error: unknown) => {
          if (answered()) fail(error)
        }
        send("evalsha", script, args).then(succeed, (error: unknown) => {
          // a server that was restarted, or a new primary, has not seen the script yet; nothing of it ran
          if (isNoScript(error)) send("eval", script, args).then(succeed, refuse)
          else refuse(error)
        })
      })
  const run = through(bySend(client, base))
  return { run, write: replication.replicas === 0 ? run : through(byPipeline(client, base, replication)) }
}
