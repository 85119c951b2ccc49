/**
 * The services of one attempt: those of the handler's layer, the job at hand, and a scope that is made when something
 * asks for it: to make one takes as long as to run a small job.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/** What a `Context` is made of. Copies of it, as `Effect.provide` makes them, ask for everything, so for the scope too. */
export class Services extends Map<string, unknown> {
  private scope: Scope.CloseableScope | undefined
  private over: Exit.Exit<unknown, unknown> | undefined

  constructor(services: ReadonlyMap<string, unknown>, key: string, service: unknown) {
    super(services)
    this.set(key, service)
    this.set(Scope.Scope.key, undefined)
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

  private make(): Scope.CloseableScope {
    if (this.scope === undefined) {
      this.scope = Effect.runSync(Scope.make())
      this.set(Scope.Scope.key, this.scope)
      if (this.over !== undefined) Effect.runSync(Scope.close(this.scope, this.over))
    }
    return this.scope
  }

  override get(key: string): unknown {
    return key === Scope.Scope.key ? this.make() : super.get(key)
  }

  override forEach(each: (service: unknown, key: string, all: Map<string, unknown>) => void): void {
    this.make()
    super.forEach(each)
  }

  override entries() {
    this.make()
    return super.entries()
  }

  override values() {
    this.make()
    return super.values()
  }

  override [Symbol.iterator]() {
    return this.entries()
  }
}
