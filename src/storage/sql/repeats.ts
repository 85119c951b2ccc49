/** Items in parts in which no id comes twice: nearly always one. */
export const splitRepeats = <Item extends { readonly id: string }>(
  items: ReadonlyArray<Item>
): ReadonlyArray<ReadonlyArray<Item>> => {
  if (new Set(items.map(({ id }) => id)).size === items.length) return [items]
  const parts: Array<Array<Item>> = []
  const seen = new Map<string, number>()
  for (const item of items) {
    const at = seen.get(item.id) ?? 0
    seen.set(item.id, at + 1)
    const part = parts[at]
    if (part === undefined) parts.push([item])
    else part.push(item)
  }
  return parts
}
