import * as Clock from "effect/Clock"

/** Real time, also under TestClock: waits for other processes are not simulated. */
export const liveClock = Clock.make()
