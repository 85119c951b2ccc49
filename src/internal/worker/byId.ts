/**
 * A map from ids whose values come and go by the thousand. A `Map` leaves the tables that it outgrows as they were, each
 * linked to the next, and a young collection takes for alive what old garbage refers to: all values, and whatever they
 * refer to, would wait for the next full collection. So the `Map` holds places, which refer to nothing.
 */
export class ById<A> {
  private readonly places = new Map<string, number>()
  private readonly members: Array<A | undefined> = []
  private readonly free: Array<number> = []

  get size(): number {
    return this.places.size
  }

  get(id: string): A | undefined {
    const place = this.places.get(id)
    return place === undefined ? undefined : this.members[place]
  }

  set(id: string, value: A): void {
    const place = this.places.get(id) ?? this.free.pop() ?? this.members.length
    this.places.set(id, place)
    this.members[place] = value
  }

  delete(id: string): void {
    const place = this.places.get(id)
    if (place === undefined) return
    this.places.delete(id)
    this.members[place] = undefined
    this.free.push(place)
  }

  /** As they came. */
  values(): Array<A> {
    const values: Array<A> = []
    for (const place of this.places.values()) {
      const value = this.members[place]
      if (value !== undefined) values.push(value)
    }
    return values
  }
}
