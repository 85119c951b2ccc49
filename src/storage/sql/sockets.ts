/** The sockets of a pool: when the pool is closed, a peer that has vanished must not keep it, or the process. */
import type { Socket } from "node:net"
import * as Effect from "effect/Effect"
import * as Patience from "../../internal/patience.js"

/** For a peer to take its leave, in milliseconds. */
const patience = 1_000

export interface Sockets {
  readonly add: (socket: Socket) => Socket
  /** Closes the pool in an orderly way, or, when that takes too long, its sockets. */
  readonly close: (end: Effect.Effect<unknown>) => Effect.Effect<void>
}

/** For one pool: made anew whenever a layer is built. */
export const make = (): Sockets => {
  const open = new Set<Socket>()
  return {
    add: (socket) => {
      open.add(socket)
      // the system, too, tells a peer that has vanished from one that is idle
      return socket.setKeepAlive(true, 10_000).once("close", () => open.delete(socket))
    },
    close: (end) =>
      Effect.ensuring(
        Effect.ignore(Patience.within(end, patience, Effect.fail("late"))),
        Effect.sync(() => {
          for (const socket of open) socket.destroy()
        })
      )
  }
}
