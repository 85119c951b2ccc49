/** Things by their names, as a command line gives them. */

/** A name means what is called so; without such a thing, all that begin with it and a dash. */
export const select = <A extends { readonly name: string }>(
  all: ReadonlyArray<A>,
  wanted: ReadonlyArray<string>
): ReadonlyArray<A> => {
  const chosen = wanted.flatMap((wish) => {
    const exact = all.filter(({ name }) => name === wish)
    const found = exact.length > 0 ? exact : all.filter(({ name }) => name.startsWith(`${wish}-`))
    if (found.length === 0)
      throw new Error(`nothing is called ${wish}; there are ${all.map(({ name }) => name).join(", ")}`)
    return found
  })
  return all.filter((item) => chosen.includes(item))
}

/** Nothing named means all. */
export const selectOrAll = <A extends { readonly name: string }>(
  all: ReadonlyArray<A>,
  wanted: string
): ReadonlyArray<A> => {
  const names = wanted.split(",").filter((name) => name !== "")
  return names.length === 0 ? all : select(all, names)
}
