/**
 * Milliseconds that pass evenly: leases and timeouts must not end, or go on, because someone set the wall clock. They
 * have fractions: whoever sleeps to an instant rounds up, or wakes just before it. They stand still while the machine is
 * suspended, so after that a lease may be over unseen: until the next renewal the fencing token alone keeps order.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { liveClock } from "./liveClock.js"

/** Each job asks once: the runtime's own clock is read without the large integers that Effect's interface is made of. */
export const unsafeNow = (clock: Clock.Clock): number =>
  clock === liveClock
    ? performance.timeOrigin + performance.now()
    : Number(clock.unsafeCurrentTimeNanos() / 1_000n) / 1_000

export const now: Effect.Effect<number> = Effect.map(Effect.clock, unsafeNow)
