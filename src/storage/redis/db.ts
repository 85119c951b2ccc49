/** What every operation needs: the connection and the clock. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import type { Connection } from "./connection.js"
import { storageError } from "./errors.js"
import type { Script } from "./script.js"

type Args = ReadonlyArray<string | number>

export interface Db {
  /** Runs a script and reads its reply. */
  readonly run: <A>(script: Script, args: Args, read: (reply: unknown) => A) => Effect.Effect<A, StorageError>
  /** The same for what a caller is told is done: it waits for the replicas that were asked for. */
  readonly write: <A>(script: Script, args: Args, read: (reply: unknown) => A) => Effect.Effect<A, StorageError>
}

export const make = (connection: Connection, storeClock: boolean): Db => {
  const now: Effect.Effect<string | number> = storeClock ? Effect.succeed("") : Clock.currentTimeMillis
  const through =
    (send: Connection["run"]): Db["run"] =>
    (script, args, read) =>
      Effect.flatMap(now, (instant) =>
        Effect.flatMap(send(script, [instant, ...args]), (reply) =>
          Effect.try({ try: () => read(reply), catch: (error) => storageError(script.operation, error) })
        )
      )
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
