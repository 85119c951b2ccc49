/**
 * The services of one attempt: those of the handler's layer, the job at hand, and a scope. The first are not copied, and
 * the scope is not made, before something asks for them: either takes as long as to run a small job.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { Derived } from "./derived.js"

/** Who makes the service of the job at hand, once, when it is asked for. */
export interface Own {
  readonly current: () => unknown
}

/** What a `Context` is made of. Copies, as `Effect.provide` makes them, ask for everything, so for the scope too. */
export class Services extends Derived<string, unknown> {
  declare private readonly shared: ReadonlyMap<string, unknown>
  declare private readonly ownKey: string
  declare private readonly own: Own
  declare private service: unknown
  declare private scope: Scope.CloseableScope | undefined
  declare private over: Exit.Exit<unknown, unknown> | undefined

  constructor(shared: ReadonlyMap<string, unknown>, ownKey: string, own: Own) {
    super()
    this.shared = shared
    this.ownKey = ownKey
    this.own = own
    this.service = undefined
    this.scope = undefined
    this.over = undefined
  }

  /** Whether there is a scope that `close` has not closed. */
  get opened(): boolean {
    return this.scope !== undefined && this.over === undefined
  }

  /** What asks for the scope later is given a closed one. */
  close(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    this.over = exit
    return this.scope === undefined ? Effect.void : Scope.close(this.scope, exit)
  }

  private makeScope(): Scope.CloseableScope {
    if (this.scope === undefined) {
      this.scope = Effect.runSync(Scope.make())
      if (this.over !== undefined) Effect.runSync(Scope.close(this.scope, this.over))
    }
    return this.scope
  }

  protected read(key: string): unknown {
    if (key === Scope.Scope.key) return this.makeScope()
    if (key !== this.ownKey) return this.shared.get(key)
    this.service ??= this.own.current()
    return this.service
  }

  protected knows(key: string): boolean {
    return key === Scope.Scope.key || key === this.ownKey || this.shared.has(key)
  }

  protected copy(): Map<string, unknown> {
    return new Map(this.shared).set(this.ownKey, this.read(this.ownKey)).set(Scope.Scope.key, this.makeScope())
  }
}
