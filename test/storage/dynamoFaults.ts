/** A DynamoDB client whose service misbehaves in the ways DynamoDB may. */
import {
  DynamoDBClient,
  type DynamoDBClientConfig,
  type QueryCommandOutput,
  type WriteRequest
} from "@aws-sdk/client-dynamodb"

/**
 * - `throttled`: refused, nothing done
 * - `lost`: done, but no reply comes
 * - `dead`: nothing is sent, now or later: the process has died
 * - `stale`: an index answers with what it knew when it was asked this last
 * - `unprocessed`: of a batch only the first item is done
 * - a promise: the request is sent once it is fulfilled
 */
export type Fault = "throttled" | "lost" | "dead" | "stale" | "unprocessed" | Promise<void>

export interface Request {
  /** The nth request of this client, from 1; sending it again counts anew. */
  readonly n: number
  readonly command: string
}

const failure = (name: string, httpStatusCode: number) =>
  Object.assign(new Error(name), { name, $metadata: { httpStatusCode } })

export const faultyClient = (
  config: DynamoDBClientConfig,
  fault: (request: Request) => Fault | undefined
): DynamoDBClient => {
  const client = new DynamoDBClient(config)
  const known = new Map<string, QueryCommandOutput>()
  let n = 0
  let dead = false

  client.middlewareStack.add(
    (next, context) => async (args) => {
      const command = (context.commandName ?? "").replace(/Command$/, "")
      const { input } = args
      if ("IndexName" in input && command === "Query") {
        const key = JSON.stringify(input)
        const before = known.get(key) ?? { $metadata: {}, Items: [], Count: 0 }
        const reply = await next(args)
        if ("Items" in reply.output) known.set(key, reply.output)
        return fault({ n, command }) === "stale" ? { ...reply, output: before } : reply
      }
      if ("RequestItems" in input && fault({ n, command }) === "unprocessed") {
        const [table, work] = Object.entries(input.RequestItems ?? {})[0] ?? ["", []]
        if (Array.isArray(work)) {
          const rest: Array<WriteRequest> = work.slice(1)
          const reply = await next({ ...args, input: { ...input, RequestItems: { [table]: work.slice(0, 1) } } })
          return { ...reply, output: { ...reply.output, UnprocessedItems: rest.length > 0 ? { [table]: rest } : {} } }
        }
        const keys = work.Keys ?? []
        const reply = await next({
          ...args,
          input: { ...input, RequestItems: { [table]: { ...work, Keys: keys.slice(0, 1) } } }
        })
        const left = { [table]: { ...work, Keys: keys.slice(1) } }
        return { ...reply, output: { ...reply.output, UnprocessedKeys: keys.length > 1 ? left : {} } }
      }
      return next(args)
    },
    { step: "initialize", name: "faultsOfTheService" }
  )

  client.middlewareStack.add(
    (next, context) => async (args) => {
      const command = (context.commandName ?? "").replace(/Command$/, "")
      n++
      const what = fault({ n, command })
      if (what === "dead") dead = true
      if (dead) throw failure("ProcessDied", 400)
      if (typeof what === "object") await what
      if (what === "throttled") throw failure("ProvisionedThroughputExceededException", 400)
      const reply = await next(args)
      if (what === "lost") throw failure("TimeoutError", 0)
      return reply
    },
    // inside the SDK's own retries
    { step: "finalizeRequest", name: "faultsOfTheNetwork", priority: "low" }
  )
  return client
}
