/** The measuring process's hold on a child. */
import { fork } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { Place } from "./peer.js"
import type { Answer, Args, Handled, Message, Method } from "./protocol.js"

export interface Remote {
  readonly pid: number
  readonly call: <M extends Method>(method: M, ...args: Args<M>) => Promise<Answer<M>>
  /** How far its worker has come. */
  readonly handled: () => Handled
  /** Resolves with the time the handler was entered for this job. */
  readonly startOf: (n: number) => Promise<number>
  /** Resolves when the child has said something. */
  readonly news: () => Promise<void>
  /** Most memory it ever held, in MB. */
  readonly peakRss: () => number
  readonly close: () => Promise<void>
}

const childFile = fileURLToPath(new URL("./child.js", import.meta.url))

/** The kernel's numbers: a peer that never yields could not answer. */
const peakRss = (pid: number): number => {
  const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))
  return Number(line?.[1] ?? Number.NaN) / 1024
}

export const spawn = (peer: string, place: Place, counted = false): Promise<Remote> => {
  const child = fork(childFile, [JSON.stringify({ peer, place, counted })], {
    stdio: ["ignore", "ignore", "pipe", "ipc"]
  })
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  const starts = new Map<number, (at: number) => void>()
  let told: Array<() => void> = []
  let handled: Handled = { count: 0, firstAt: 0, jobs: 0, lastJobAt: 0 }
  let nextId = 0
  let stderr = ""
  let closing = false
  child.stderr?.on("data", (data: Buffer) => {
    stderr = (stderr + data.toString()).slice(-4_000)
  })
  const exited = new Promise<void>((resolve) => child.on("exit", () => resolve()))

  return new Promise((ready, failed) => {
    const pid = child.pid
    if (pid === undefined) return failed(new Error("the child did not start"))
    const remote: Remote = {
      pid,
      call: <M extends Method>(method: M, ...args: Args<M>) =>
        new Promise<Answer<M>>((resolve, reject) => {
          const id = nextId++
          waiting.set(id, { resolve: (value) => resolve(value as Answer<M>), reject })
          child.send({ id, method, args })
        }),
      handled: () => handled,
      startOf: (n) => new Promise((resolve) => starts.set(n, resolve)),
      news: () => new Promise((resolve) => told.push(resolve)),
      peakRss: () => peakRss(pid),
      close: async () => {
        closing = true
        const gone = setTimeout(() => child.kill("SIGKILL"), 15_000)
        if (child.connected) {
          await Promise.race([remote.call("stop").catch(() => undefined), exited])
          if (child.connected) child.disconnect()
        }
        await exited
        clearTimeout(gone)
      }
    }
    child.on("message", (message: Message) => {
      switch (message.type) {
        case "ready":
          return ready(remote)
        case "handled":
          handled = message
          break
        case "started":
          starts.get(message.n)?.(message.at)
          starts.delete(message.n)
          break
        case "answer":
          waiting.get(message.id)?.resolve(message.value)
          waiting.delete(message.id)
          break
        case "error":
          waiting.get(message.id)?.reject(new Error(`${peer}: ${message.message}`))
          waiting.delete(message.id)
      }
      for (const resolve of told) resolve()
      told = []
    })
    child.on("exit", (code) => {
      if (closing) return
      const error = new Error(`${peer}: the child ended with ${code}\n${stderr}`)
      failed(error)
      for (const { reject } of waiting.values()) reject(error)
    })
  })
}
