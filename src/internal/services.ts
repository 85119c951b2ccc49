/**
 * The services of one attempt: those of the handler's layer, the job at hand, and a scope. The first are not copied, and
 * the scope is not made, before something asks for them: either takes as long as to run a small job.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/**
 * What a `Context` is made of. Copies of it, as `Effect.provide` makes them, ask for everything, so for the scope too. It
 * is no `Map` itself: there is one of these for each job, and a `Map` takes longer to make than all else here.
 */
export class Services implements Map<string, unknown> {
  // assigned, not defined and then assigned
  declare private readonly shared: ReadonlyMap<string, unknown>
  declare private readonly ownKey: string
  declare private readonly makeOwn: () => unknown
  declare private own: unknown
  declare private copied: Map<string, unknown> | undefined
  declare private scope: Scope.CloseableScope | undefined
  declare private over: Exit.Exit<unknown, unknown> | undefined

  /** The service of the key is made when it is asked for, once. */
  constructor(shared: ReadonlyMap<string, unknown>, key: string, service: () => unknown) {
    this.shared = shared
    this.ownKey = key
    this.makeOwn = service
    this.own = undefined
    this.copied = undefined
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

  private all(): Map<string, unknown> {
    this.copied ??= new Map(this.shared)
      .set(this.ownKey, this.get(this.ownKey))
      .set(Scope.Scope.key, this.makeScope())
    return this.copied
  }

  get(key: string): unknown {
    if (this.copied !== undefined) return this.copied.get(key)
    if (key === Scope.Scope.key) return this.makeScope()
    if (key !== this.ownKey) return this.shared.get(key)
    this.own ??= this.makeOwn()
    return this.own
  }

  has(key: string): boolean {
    return key === Scope.Scope.key || key === this.ownKey || this.shared.has(key)
  }

  get size(): number {
    return this.all().size
  }

  forEach(each: (service: unknown, key: string, all: Map<string, unknown>) => void): void {
    this.all().forEach(each)
  }

  entries() {
    return this.all().entries()
  }

  keys() {
    return this.all().keys()
  }

  values() {
    return this.all().values()
  }

  [Symbol.iterator]() {
    return this.entries()
  }

  get [Symbol.toStringTag]() {
    return "Services"
  }

  // what a `Map` has and no `Context` asks for

  set(key: string, service: unknown): this {
    this.all().set(key, service)
    return this
  }

  delete(key: string): boolean {
    return this.all().delete(key)
  }

  clear(): void {
    this.all().clear()
  }
}
