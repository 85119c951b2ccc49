/** What every operation needs: the connection and the clock. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import type { Connection } from "./connection.js"
import type { Run } from "./evaluate.js"

export interface Db {
  readonly run: Run
  /** For what a caller is told is done: it waits for the replicas that were asked for. */
  readonly write: Run
}

/** Each script's first argument is Effect's time, or empty where the store's counts. */
export const make = (connection: Connection, storeClock: boolean): Db => {
  const through = (send: Run): Run =>
    storeClock
      ? (script, args, read) => send(script, ["", ...args], read)
      : (script, args, read) => Effect.flatMap(Clock.currentTimeMillis, (now) => send(script, [now, ...args], read))
  return { run: through(connection.run), write: through(connection.write) }
}

/** So many items go into one script, so that Redis is not kept from its other clients for long. */
export const batch = 500

/** Runs batches one after the other and answers for all in order. */
export const inBatches = <A, B>(
  items: ReadonlyArray<A>,
  one: (items: ReadonlyArray<A>) => Effect.Effect<ReadonlyArray<B>, StorageError>,
  size = batch
): Effect.Effect<ReadonlyArray<B>, StorageError> => {
  if (items.length === 0) return Effect.succeed([])
  if (items.length <= size) return one(items)
  const parts = Array.from({ length: Math.ceil(items.length / size) }, (_, at) =>
    items.slice(at * size, (at + 1) * size)
  )
  return Effect.map(Effect.forEach(parts, one), (answers) => answers.flat())
}

/** Backoff with jitter has fractions, the store has not. */
export const whole = (millis: number): number => Math.max(0, Math.ceil(millis))

/** Text that may be missing, told apart from text that is empty. */
export const optional = (text: string | null): string => (text === null ? "" : `=${text}`)
