/** Reads a script's reply: nested lists of text, whole numbers and nulls. */

/** Not what the script answers: a defect of this library, or another program's keys under the prefix. */
export class UnexpectedReply extends Error {
  override readonly name = "UnexpectedReply"
  constructor(expected: string) {
    super(`expected ${expected} in the script's reply`)
  }
}

export const list = (value: unknown): ReadonlyArray<unknown> => {
  if (!Array.isArray(value)) throw new UnexpectedReply("a list")
  return value
}

export const lists = (value: unknown): ReadonlyArray<ReadonlyArray<unknown>> => list(value).map(list)

export const text = (value: unknown): string => {
  if (typeof value === "string") return value
  if (typeof value === "number") return String(value)
  throw new UnexpectedReply("text")
}

export const textOrNull = (value: unknown): string | null =>
  value === null || value === undefined ? null : text(value)

export const number = (value: unknown): number => {
  const parsed = typeof value === "string" && value !== "" ? Number(value) : value
  if (typeof parsed !== "number" || Number.isNaN(parsed)) throw new UnexpectedReply("a number")
  return parsed
}

export const numberOrNull = (value: unknown): number | null =>
  value === null || value === undefined ? null : number(value)

/** One of the words a script may answer with. */
export const word =
  <const A extends string>(...words: ReadonlyArray<A>) =>
  (value: unknown): A => {
    const found = words.find((one) => one === value)
    if (found === undefined) throw new UnexpectedReply(`one of ${words.join(", ")}`)
    return found
  }
