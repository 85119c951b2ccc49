/** What the measuring process may ask of a child, and what a child tells it unasked. */
import type { JobName, Tally } from "./peer.js"

export interface Methods {
  /** Enqueues one by one for about `ms`, or `count` jobs; answers how many, and how long it took. */
  readonly addFor: (options: { ms: number; inFlight: number; from: number }) => { count: number; ms: number }
  /** Enqueues one job; answers when the call was made. */
  readonly add: (options: { n: number }) => { at: number }
  readonly addAll: (options: {
    name: JobName
    count: number
    from: number
    mixedPriorities: boolean
    delaySeconds: number
  }) => { ms: number }
  readonly finishAll: () => boolean
  readonly isEmpty: () => boolean
  readonly tally: () => Tally
  /** Starts a worker; answers when. It tells of every `target` jobs handled at once, of fewer within 5 ms. */
  readonly work: (options: WorkRequest) => { at: number }
  readonly statements: () => number | undefined
  readonly claims: () => number | undefined
  readonly usage: () => { cpuMs: number }
  readonly stop: () => undefined
}

/** How far a worker has come. */
export interface Handled {
  /** Attempts, and when the first was entered. */
  readonly count: number
  readonly firstAt: number
  /** Jobs attempted at all, and when the last of them first was. */
  readonly jobs: number
  readonly lastJobAt: number
}

export interface WorkRequest {
  readonly concurrency: number
  /** 0 for a worker that is watched from outside and need not tell how far it is. */
  readonly target: number
  /** Every so many-th job fails at its first attempt; 0 for none. */
  readonly failEvery: number
  /** Tell of each single start. */
  readonly tellStarts: boolean
}

export type Method = keyof Methods
export type Args<M extends Method> = Parameters<Methods[M]>
export type Answer<M extends Method> = ReturnType<Methods[M]>

export type Request = { readonly id: number; readonly method: Method; readonly args: ReadonlyArray<unknown> }

export type Message =
  | { readonly type: "ready" }
  | { readonly type: "answer"; readonly id: number; readonly value: unknown }
  | { readonly type: "error"; readonly id: number; readonly message: string }
  | ({ readonly type: "handled" } & Handled)
  | { readonly type: "started"; readonly n: number; readonly at: number }
