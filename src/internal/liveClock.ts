/** Real time, also under TestClock: waits for other processes are not simulated. */
import * as Clock from "effect/Clock"

export const liveClock: Clock.Clock = Clock.make()
