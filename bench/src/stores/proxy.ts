/** A TCP proxy in front of a server that looks at what its clients send. */
import { connect, createServer, type Socket } from "node:net"
import type { Place } from "../peer.js"
import type { Counted } from "./store.js"

interface Proxy {
  readonly port: number
  readonly close: () => Promise<void>
}

/** `watcher` makes one reader per connection, which sees its bytes in order. */
const proxy = (host: string, port: number, watcher: () => (bytes: Buffer) => void): Promise<Proxy> => {
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const watch = watcher()
    const upstream = connect(port, host)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on("close", () => sockets.delete(socket))
    }
    client.on("error", () => upstream.destroy())
    upstream.on("error", () => client.destroy())
    client.on("data", watch)
    client.pipe(upstream).pipe(client)
  })
  return new Promise((resolve, reject) => {
    server.on("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      if (address === null || typeof address === "string") return reject(new Error("the proxy has no port"))
      resolve({
        port: address.port,
        close: () => {
          for (const socket of sockets) socket.destroy()
          return new Promise((done) => server.close(() => done()))
        }
      })
    })
  })
}

/** A place reached through a proxy, and what `watcher` has counted on the wire. */
export const counted = async (
  place: Place,
  defaultPort: number,
  watcher: (count: (found: number) => void) => () => (bytes: Buffer) => void
): Promise<Counted> => {
  let statements = 0
  const url = new URL(place.url)
  const between = await proxy(
    url.hostname,
    Number(url.port || defaultPort),
    watcher((found) => {
      statements += found
    })
  )
  url.hostname = "127.0.0.1"
  url.port = String(between.port)
  return { place: { ...place, url: url.href }, statements: () => statements, close: between.close }
}
