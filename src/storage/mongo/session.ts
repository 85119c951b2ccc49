/** The session whose transaction inserts join. */
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import type { ClientSession } from "mongodb"

const current: FiberRef.FiberRef<ClientSession | undefined> = globalValue("dbjobq/MongoStorage/session", () =>
  FiberRef.unsafeMake<ClientSession | undefined>(undefined)
)

export const get: Effect.Effect<ClientSession | undefined> = FiberRef.get(current)

export const locally = <A, E, R>(
  session: ClientSession | undefined,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => Effect.locally(effect, current, session)
