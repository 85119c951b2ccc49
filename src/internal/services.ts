/**
 * The services of one attempt: those of the handler's layer, the job at hand, and a scope. The first are not copied, and
 * the scope is not made, before something asks for them: either takes as long as to run a small job.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/** What a `Context` is made of. Copies of it, as `Effect.provide` makes them, ask for everything, so for the scope too. */
export class Services extends Map<string, unknown> {
  // assigned, not defined and then assigned: there is one of these for each job
  declare private readonly shared: ReadonlyMap<string, unknown>
  declare private readonly ownKey: string
  declare private readonly makeOwn: () => unknown
  declare private own: unknown
  declare private copied: boolean
  declare private scope: Scope.CloseableScope | undefined
  declare private over: Exit.Exit<unknown, unknown> | undefined

  /** The service of the key is made when it is asked for, once. */
  constructor(shared: ReadonlyMap<string, unknown>, key: string, service: () => unknown) {
    super()
    this.shared = shared
    this.ownKey = key
    this.makeOwn = service
    this.own = undefined
    this.copied = false
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

  private copy(): void {
    if (this.copied) return
    this.copied = true
    for (const [key, service] of this.shared) this.set(key, service)
    this.set(this.ownKey, this.get(this.ownKey))
    this.set(Scope.Scope.key, this.makeScope())
  }

  override get(key: string): unknown {
    if (key === Scope.Scope.key) return this.makeScope()
    if (key !== this.ownKey) return this.shared.get(key)
    this.own ??= this.makeOwn()
    return this.own
  }

  override has(key: string): boolean {
    return key === Scope.Scope.key || key === this.ownKey || this.shared.has(key)
  }

  override get size(): number {
    this.copy()
    return super.size
  }

  override forEach(each: (service: unknown, key: string, all: Map<string, unknown>) => void): void {
    this.copy()
    super.forEach(each)
  }

  override entries() {
    this.copy()
    return super.entries()
  }

  override keys() {
    this.copy()
    return super.keys()
  }

  override values() {
    this.copy()
    return super.values()
  }

  override [Symbol.iterator]() {
    return this.entries()
  }
}
