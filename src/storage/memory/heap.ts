/** A binary heap whose entries may leave from anywhere: a dead one goes when it surfaces. */

export interface Rank {
  readonly priority: number
  readonly at: number
  readonly id: string
}

export interface Entry<A> extends Rank {
  readonly item: A
  readonly heap: Heap<A>
  live: boolean
}

export interface Heap<A> {
  entries: Array<Entry<A>>
  live: number
  readonly before: (a: Rank, b: Rank) => boolean
}

export const byBest = (a: Rank, b: Rank): boolean =>
  a.priority !== b.priority ? a.priority > b.priority : byTime(a, b)

export const byTime = (a: Rank, b: Rank): boolean => (a.at !== b.at ? a.at < b.at : a.id < b.id)

export const make = <A>(before: Heap<A>["before"]): Heap<A> => ({ entries: [], live: 0, before })

const siftUp = <A>(heap: Heap<A>): void => {
  const { entries, before } = heap
  let at = entries.length - 1
  while (at > 0) {
    const up = (at - 1) >> 1
    const child = entries[at]
    const parent = entries[up]
    if (child === undefined || parent === undefined || !before(child, parent)) return
    entries[at] = parent
    entries[up] = child
    at = up
  }
}

const siftDown = <A>(heap: Heap<A>): void => {
  const { entries, before } = heap
  let at = 0
  for (;;) {
    let best = at
    for (const next of [2 * at + 1, 2 * at + 2]) {
      const a = entries[next]
      const b = entries[best]
      if (a !== undefined && b !== undefined && before(a, b)) best = next
    }
    const here = entries[at]
    const there = entries[best]
    if (best === at || here === undefined || there === undefined) return
    entries[at] = there
    entries[best] = here
    at = best
  }
}

export const add = <A>(heap: Heap<A>, item: A, { at, id, priority }: Rank): Entry<A> => {
  const entry: Entry<A> = { item, heap, live: true, priority, at, id }
  heap.live++
  heap.entries.push(entry)
  siftUp(heap)
  return entry
}

export const remove = <A>(entry: Entry<A>): void => {
  if (!entry.live) return
  const { heap } = entry
  entry.live = false
  heap.live--
  // rebuilt when the dead outnumber the living
  if (heap.entries.length > 2 * heap.live + 64) {
    heap.entries = heap.entries
      .filter((one) => one.live)
      .sort((a, b) => (heap.before(a, b) ? -1 : heap.before(b, a) ? 1 : 0))
  }
}

export const first = <A>(heap: Heap<A>): Entry<A> | undefined => {
  for (;;) {
    const top = heap.entries[0]
    if (top === undefined || top.live) return top
    const last = heap.entries.pop()
    if (last !== undefined && last !== top) {
      heap.entries[0] = last
      siftDown(heap)
    }
  }
}
