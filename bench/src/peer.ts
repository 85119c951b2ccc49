/** What a job queue has to offer to be measured. One file in `peers/` per queue, or per setting of one. */

export interface Payload {
  readonly n: number
  readonly kind: string
  readonly tag: string
}

export const payloads = (count: number, from = 0): ReadonlyArray<Payload> =>
  Array.from({ length: count }, (_, index) => ({ n: from + index, kind: "noop", tag: "bench" }))

/** `bench` is what workers run; `other` is a name no worker knows. */
export type JobName = "bench" | "other"

export interface Batch {
  readonly name: JobName
  readonly payloads: ReadonlyArray<Payload>
  /** Priorities 0 to 9, by `n`; higher first. All 0 otherwise. */
  readonly mixedPriorities: boolean
  readonly delaySeconds: number
}

export const priorityOf = (batch: Batch, payload: Payload): number => (batch.mixedPriorities ? payload.n % 10 : 0)

/** Where one measurement keeps its jobs: a database, a file or a key prefix of its own. */
export interface Place {
  readonly url: string
  readonly prefix: string
}

export interface Tally {
  /** Absent where finished rows are deleted. */
  readonly completed?: number | undefined
  readonly failed: number
  readonly unfinished: number
}

export interface WorkOptions {
  readonly concurrency: number
  /** Whether any job will fail, for peers that need to be told how failures of a batch are reported. */
  readonly failing: boolean
  /** The job's whole work. False asks for a failure. */
  readonly handler: (n: number) => boolean
}

/** An open connection to the queue, in a process of its own. */
export interface Session {
  /** One call a job, each acknowledged on its own; at most `inFlight` waiting. */
  readonly addEach: (payloads: Iterable<Payload>, inFlight: number) => Promise<void>
  /** The peer's call for many. */
  readonly addAll: (batch: Batch) => Promise<void>
  /** Starts a worker for `bench`; the result stops it. */
  readonly work: (options: WorkOptions) => Promise<() => Promise<void>>
  /** Whether a `bench` job is left that is not finished. Asked often, so cheap. */
  readonly isEmpty: () => Promise<boolean>
  readonly tally: () => Promise<Tally>
  /** Turns everything pending into history, where history is kept in rows. */
  readonly finishAll?: () => Promise<void>
  /** How often its workers have asked the store for jobs, where the peer can tell. */
  readonly claims?: () => number
  readonly close: () => Promise<void>
}

export type StoreName = "memory" | "sqlite" | "postgres" | "mysql" | "redis"

export interface Peer {
  readonly name: string
  readonly store: StoreName
  readonly settings: string
  readonly finishedRows: "kept" | "deleted"
  readonly durability: string
  readonly priorities: boolean
  readonly retries: boolean
  /** The dbjobq of the same durability. */
  readonly against: string
  readonly open: (place: Place) => Promise<Session>
}

/** How long a failed job waits for its next attempt: what graphile-worker does after the first, and cannot be told. */
export const retryDelay = 2_718

export class JobFailure extends Error {}

export const orThrow = (succeeded: boolean): void => {
  if (!succeeded) throw new JobFailure("asked to fail")
}

/** `addEach` for a peer with a promise per job. */
export const lanes = async (
  payloads: Iterable<Payload>,
  inFlight: number,
  add: (payload: Payload) => Promise<unknown>
): Promise<void> => {
  const rest = payloads[Symbol.iterator]()
  const lane = async () => {
    for (let next = rest.next(); next.done !== true; next = rest.next()) await add(next.value)
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
}

export const chunks = <A>(items: ReadonlyArray<A>, size: number): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size))
