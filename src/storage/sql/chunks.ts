/** Batches in parts of a size that one statement takes. */

/**
 * Bytes of one statement's values: well below the smallest `max_allowed_packet` of MySQL that is accepted, and what
 * PostgreSQL takes as one JSON object.
 */
const packet = 1_048_576

/** Splits by number and by size, as a statement must not grow without bound. A large item goes alone. */
export const chunks = <A>(
  items: ReadonlyArray<A>,
  most: number,
  sizeOf: (item: A) => number
): ReadonlyArray<ReadonlyArray<A>> => {
  if (items.length <= most && items.reduce((bytes, item) => bytes + sizeOf(item), 0) <= packet) {
    return items.length === 0 ? [] : [items]
  }
  const parts: Array<Array<A>> = []
  let part: Array<A> = []
  let bytes = 0
  for (const item of items) {
    const size = sizeOf(item)
    if (part.length > 0 && (part.length === most || bytes + size > packet)) {
      parts.push(part)
      part = []
      bytes = 0
    }
    part.push(item)
    bytes += size
  }
  if (part.length > 0) parts.push(part)
  return parts
}
