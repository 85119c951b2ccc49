import type { Place } from "../peer.js"

export interface Store {
  readonly create: () => Promise<Place>
  readonly destroy: (place: Place) => Promise<void>
  /** What the server itself is set to, as far as durability and upkeep go. */
  readonly describe: () => Promise<string>
  /** What a server does by and by after much was written, done now. */
  readonly settle?: (place: Place) => Promise<void>
  /** A reader that still sees the past; the result ends it. */
  readonly holdSnapshot?: (place: Place) => Promise<() => Promise<void>>
  /** The same place behind a proxy that counts what is asked of the server. */
  readonly counted?: (place: Place) => Promise<Counted>
}

export interface Counted {
  readonly place: Place
  readonly statements: () => number
  readonly close: () => Promise<void>
}

let made = 0

export const freshName = (): string => `dbjobq_bench_${process.pid}_${Date.now().toString(36)}_${made++}`
