import { createServer, connect as open, type Socket } from "node:net"
import { Effect } from "effect"

export interface Proxy {
  /** The URL, by way of the proxy. */
  readonly url: string
  /** Nothing more is forwarded on the connections there are, and neither side is told; new ones work. */
  readonly freeze: Effect.Effect<void>
}

/** In front of the server of a URL, until the scope closes. */
export const proxy = (url: string, defaultPort: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<{ readonly port: number; readonly sockets: Set<Socket>; readonly close: () => void }>((resume) => {
        const target = new URL(url)
        const sockets = new Set<Socket>()
        const server = createServer((near) => {
          const far = open(Number(target.port || defaultPort), target.hostname)
          for (const [from, to] of [
            [near, far],
            [far, near]
          ] as const) {
            sockets.add(from)
            from.on("data", (data) => to.write(data))
            from.on("end", () => to.end())
            from.on("error", () => to.destroy())
            from.on("close", () => sockets.delete(from))
          }
        }).listen(0, "127.0.0.1", () => {
          const address = server.address()
          const port = typeof address === "object" && address !== null ? address.port : 0
          resume(Effect.succeed({ port, sockets, close: () => server.close() }))
        })
      }),
      ({ close, sockets }) =>
        Effect.sync(() => {
          for (const socket of sockets) socket.destroy()
          close()
        })
    ),
    ({ port, sockets }): Proxy => {
      const near = new URL(url)
      near.hostname = "127.0.0.1"
      near.port = String(port)
      return {
        url: near.href,
        freeze: Effect.sync(() => {
          for (const socket of sockets) {
            socket.removeAllListeners("data")
            socket.removeAllListeners("end")
            socket.pause()
          }
        })
      }
    }
  )
