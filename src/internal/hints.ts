/** Wake-ups inside one process. */
import * as Effect from "effect/Effect"
import type { Wakeup } from "../JobStorage.js"
import type { Hear } from "./hear.js"

export interface Hints {
  readonly tell: (wakeup: Wakeup) => void
  readonly hear: Hear
}

export const make = (): Hints => {
  const listeners = new Set<{ readonly heard: (wakeup: Wakeup) => void }>()
  return {
    tell: (wakeup) => {
      for (const { heard } of listeners) heard(wakeup)
    },
    hear: (heard) =>
      Effect.async(() => {
        const listener = { heard }
        listeners.add(listener)
        // for what changed before it listened
        heard("jobs")
        heard("schedules")
        return Effect.sync(() => listeners.delete(listener))
      })
  }
}
