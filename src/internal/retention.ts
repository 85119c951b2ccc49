/** Which finished rows are old enough to go, state by state, within one limit. */
import * as Effect from "effect/Effect"
import type { StorageError } from "../JobError.js"
import type { SweepRequest } from "../JobStorage.js"
import { type Finished, finishedStates } from "./transitions.js"

export interface Old {
  readonly state: Finished
  /** Milliseconds since they finished, at least. */
  readonly age: number
}

/** What a sweep removes; a state without an age is kept for ever. */
export const due = (retention: SweepRequest["retention"]): ReadonlyArray<Old> =>
  finishedStates.flatMap((state) => {
    const age = retention[state]
    return age === undefined ? [] : [{ state, age }]
  })

/** Removes one kind after the other until `limit` rows are gone; answers how many are. */
export const removeAll = (
  work: ReadonlyArray<Old>,
  limit: number,
  remove: (old: Old, limit: number) => Effect.Effect<number, StorageError>
): Effect.Effect<number, StorageError> =>
  Effect.reduce(work, 0, (removed, old) =>
    removed >= limit ? Effect.succeed(removed) : Effect.map(remove(old, limit - removed), (count) => removed + count)
  )
