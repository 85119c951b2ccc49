/**
 * A `Map` for those who read it, made of others: a job begins with maps that differ from its worker's in an entry or two,
 * and to make a `Map` takes longer than much of what else is done for a job.
 */
export abstract class Derived<K, V> implements Map<K, V> {
  // assigned, not defined and then assigned: there are some of these for each job
  declare private copied: Map<K, V> | undefined

  constructor() {
    this.copied = undefined
  }

  protected abstract read(key: K): V | undefined
  protected abstract knows(key: K): boolean
  /** As a `Map`, for whoever asks for more than an entry. */
  protected abstract copy(): Map<K, V>

  private all(): Map<K, V> {
    this.copied ??= this.copy()
    return this.copied
  }

  get(key: K): V | undefined {
    return this.copied === undefined ? this.read(key) : this.copied.get(key)
  }

  has(key: K): boolean {
    return this.copied === undefined ? this.knows(key) : this.copied.has(key)
  }

  get size(): number {
    return this.all().size
  }

  forEach(each: (value: V, key: K, all: Map<K, V>) => void): void {
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
    return this.all().entries()
  }

  set(key: K, value: V): this {
    this.all().set(key, value)
    return this
  }

  delete(key: K): boolean {
    return this.all().delete(key)
  }

  clear(): void {
    this.all().clear()
  }

  get [Symbol.toStringTag]() {
    return "Map"
  }
}
