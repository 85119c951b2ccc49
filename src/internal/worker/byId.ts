/** So many ids are entered in one map before the next is begun. */
const most = 1_000
/** Each is asked in turn: jobs that take long must not leave ever more of them. */
const few = 8

/**
 * A map from ids whose values come and go by the thousand. A `Map` leaves the tables that it outgrows as they were, each
 * linked to the next, and a young collection takes for alive what old garbage refers to: all ids and values that ever
 * came, and whatever they refer to, would wait for the next full collection. So there are maps that are soon done with,
 * and they hold places, which refer to nothing.
 */
export class ById<A> {
  /** The newest is last; of the others those that are not empty. */
  private maps: Array<Map<string, number>> = [new Map()]
  private entered = 0
  private readonly members: Array<A | undefined> = []
  private readonly free: Array<number> = []

  get size(): number {
    return this.members.length - this.free.length
  }

  get(id: string): A | undefined {
    const place = this.mapOf(id)?.get(id)
    return place === undefined ? undefined : this.members[place]
  }

  set(id: string, value: A): void {
    const map = this.mapOf(id) ?? this.newest()
    const place = map.get(id) ?? this.free.pop() ?? this.members.length
    map.set(id, place)
    this.members[place] = value
  }

  delete(id: string): void {
    const map = this.mapOf(id)
    const place = map?.get(id)
    if (map === undefined || place === undefined) return
    map.delete(id)
    if (map.size === 0) this.maps = this.maps.filter((other, n) => other !== map || n === this.maps.length - 1)
    this.members[place] = undefined
    this.free.push(place)
  }

  /** As they came. */
  values(): Array<A> {
    const values: Array<A> = []
    for (const map of this.maps) {
      for (const place of map.values()) {
        const value = this.members[place]
        if (value !== undefined) values.push(value)
      }
    }
    return values
  }

  private mapOf(id: string): Map<string, number> | undefined {
    for (let n = this.maps.length - 1; n >= 0; n--) if (this.maps[n]?.has(id) === true) return this.maps[n]
    return undefined
  }

  private newest(): Map<string, number> {
    const last = this.maps[this.maps.length - 1]
    if (last !== undefined && this.entered++ < most) return last
    this.entered = 1
    const next = new Map<string, number>()
    const kept = this.maps.filter(({ size }) => size > 0)
    this.maps = [...(kept.length < few ? kept : [new Map(kept.flatMap((map) => [...map]))]), next]
    return next
  }
}
