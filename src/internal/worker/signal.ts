/** A flag that fibers wait for and any code may raise: raised twice before it is seen counts once. */
import * as Effect from "effect/Effect"

export interface Signal {
  readonly raise: () => void
  /** Returns once raised, and lowers it. */
  readonly wait: Effect.Effect<void>
}

export const make = (): Signal => {
  let raised = false
  const waiting = new Set<() => void>()

  return {
    raise: () => {
      if (waiting.size === 0) raised = true
      else for (const wake of [...waiting]) wake()
    },
    wait: Effect.suspend(() => {
      if (raised) {
        raised = false
        return Effect.void
      }
      return Effect.async<void>((done) => {
        const wake = () => {
          waiting.delete(wake)
          done(Effect.void)
        }
        waiting.add(wake)
        return Effect.sync(() => waiting.delete(wake))
      })
    })
  }
}
