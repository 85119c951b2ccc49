import { connect, createServer, type Socket } from "node:net"
import { Effect, type Scope } from "effect"

/**
 * The same URL through a proxy: on a connection where the client has said the word, it hears nothing from then on, as if
 * the way back were lost.
 */
export const deafened = (url: string, word: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.gen(function* () {
    const target = new URL(url)
    const sockets = new Set<Socket>()
    const server = createServer((client) => {
      const upstream = connect(Number(target.port), target.hostname)
      let deaf = false
      for (const [one, other] of [
        [client, upstream],
        [upstream, client]
      ] as const) {
        sockets.add(one)
        one.on("error", () => {})
        one.on("close", () => {
          sockets.delete(one)
          other.destroy()
        })
      }
      client.on("data", (chunk) => {
        if (chunk.includes(word)) deaf = true
        upstream.write(chunk)
      })
      upstream.on("data", (chunk) => {
        if (!deaf) client.write(chunk)
      })
    })
    yield* Effect.acquireRelease(
      Effect.async<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () =>
        Effect.async<void>((resume) => {
          server.close(() => resume(Effect.void))
          for (const socket of sockets) socket.destroy()
        })
    )
    const address = server.address()
    const through = new URL(url)
    through.port = typeof address === "object" && address !== null ? String(address.port) : ""
    return through.href
  })
