/** A child process: one peer, one session. Everything that is timed on the peer's side is timed here. */
import { now } from "./clock.js"
import { payloads, type Place, type Session } from "./peer.js"
import { peerNamed } from "./peers/index.js"
import type { Answer, Args, Message, Method, Request, WorkRequest } from "./protocol.js"
import { countStatements } from "./stores/sqlite.js"

const {
  peer: name,
  place,
  counted
}: { peer: string; place: Place; counted: boolean } = JSON.parse(process.argv[2] ?? "{}")
const peer = peerNamed(name)
const tell = (message: Message) => process.send?.(message)

/** Jobs of one `addAll` call while a large table is filled. */
const slice = 10_000

function* payloadsFor(ms: number, from: number) {
  const end = now() + ms
  for (let n = from; now() < end; n++) yield* payloads(1, n)
}

const work = async (session: Session, request: WorkRequest) => {
  let count = 0
  let told = 0
  let jobs = 0
  let firstAt = 0
  let lastJobAt = 0
  const failed = new Set<number>()
  const report = () => {
    if (count > told) {
      told = count
      tell({ type: "handled", count, firstAt, jobs, lastJobAt })
    }
  }
  // an idle worker is watched for its own cost: no timer of ours
  const timer = request.target > 0 ? setInterval(report, 5) : undefined
  const handler = (n: number) => {
    const at = now()
    count++
    if (count === 1) firstAt = at
    if (request.tellStarts) tell({ type: "started", n, at })
    if (failed.has(n)) return true
    jobs++
    lastJobAt = at
    if (jobs === request.target) report()
    if (request.failEvery === 0 || n % request.failEvery !== 0) return true
    failed.add(n)
    return false
  }
  const at = now()
  const stop = await session.work({ concurrency: request.concurrency, failing: request.failEvery > 0, handler })
  return {
    at,
    stop: async () => {
      clearInterval(timer)
      await stop()
    }
  }
}

const serve = (session: Session, statements: () => number | undefined) => {
  let stopWorker = async () => {}
  const methods: { readonly [M in Method]: (...args: Args<M>) => Promise<Answer<M>> } = {
    addFor: async ({ ms, inFlight, from }) => {
      const start = now()
      let count = 0
      const counted = (function* () {
        for (const payload of payloadsFor(ms, from)) {
          count++
          yield payload
        }
      })()
      await session.addEach(counted, inFlight)
      return { count, ms: now() - start }
    },
    add: async ({ n }) => {
      const at = now()
      await session.addEach(payloads(1, n), 1)
      return { at }
    },
    addAll: async ({ name, count, from, mixedPriorities, delaySeconds }) => {
      const start = now()
      for (let done = 0; done < count; done += slice) {
        const part = payloads(Math.min(slice, count - done), from + done)
        await session.addAll({ name, payloads: part, mixedPriorities, delaySeconds })
      }
      return { ms: now() - start }
    },
    finishAll: async () => {
      if (session.finishAll === undefined) return false
      await session.finishAll()
      return true
    },
    isEmpty: session.isEmpty,
    tally: session.tally,
    work: async (request) => {
      const { at, stop } = await work(session, request)
      stopWorker = stop
      return { at }
    },
    statements: async () => statements(),
    claims: async () => session.claims?.(),
    usage: async () => {
      const { user, system } = process.cpuUsage()
      return { cpuMs: (user + system) / 1e3 }
    },
    stop: async () => {
      await stopWorker()
      await session.close()
      return undefined
    }
  }
  const answer = async <M extends Method>(method: M, args: Args<M>): Promise<unknown> => methods[method](...args)
  process.on("message", (request: Request & { args: Args<Method> }) => {
    answer(request.method, request.args).then(
      (value) => tell({ type: "answer", id: request.id, value }),
      (error: unknown) =>
        tell({
          type: "error",
          id: request.id,
          message: error instanceof Error ? (error.stack ?? error.message) : String(error)
        })
    )
  })
}

const statements = counted && peer.store === "sqlite" ? await countStatements() : () => undefined
serve(await peer.open(place), statements)
process.on("disconnect", () => process.exit(0))
tell({ type: "ready" })
