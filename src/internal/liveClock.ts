/** Real time, also under TestClock: waits for other processes are not simulated. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"

export const liveClock: Clock.Clock = Context.get(DefaultServices.liveServices, Clock.Clock)
