/** JSON text that round-trips exactly, or the path and rule that it breaks. */
import * as Either from "effect/Either"

export interface Refusal {
  readonly path: string
  readonly expected: string
}

const maxDepth = 64
const encoder = new TextEncoder()

const isPlainObject = (value: object): value is Readonly<Record<string, unknown>> => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** The path is put together on the way back, so that it costs nothing where there is nothing to refuse. */
const within = (key: string | number, { expected, path }: Refusal): Refusal => ({
  path: path === "" ? `${key}` : `${key}.${path}`,
  expected
})

const refuse = (value: unknown, depth: number): Refusal | undefined => {
  if (depth > maxDepth) return { path: "", expected: `nested at most ${maxDepth} deep` }
  switch (typeof value) {
    case "string":
    case "boolean":
      return undefined
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0)
        ? undefined
        : { path: "", expected: "a finite number (and not -0)" }
    case "object": {
      if (value === null) return undefined
      if (Array.isArray(value)) {
        for (let i = 0; i < value.length; i++) {
          const refusal = refuse(value[i], depth + 1)
          if (refusal !== undefined) return within(i, refusal)
        }
        return undefined
      }
      if (!isPlainObject(value)) return { path: "", expected: "a plain JSON value" }
      for (const key of Object.keys(value)) {
        const member = value[key]
        // JSON leaves out a member that is undefined, and an optional field decodes to the same
        if (member === undefined) continue
        const refusal = refuse(member, depth + 1)
        if (refusal !== undefined) return within(key, refusal)
      }
      return undefined
    }
    default:
      return { path: "", expected: "a plain JSON value" }
  }
}

export const stringify = (value: unknown, maxBytes: number): Either.Either<string, Refusal> => {
  const refusal = refuse(value, 0)
  if (refusal !== undefined) return Either.left(refusal)
  const text = JSON.stringify(value)
  // a UTF-16 unit is at most three UTF-8 bytes: short texts need no measuring
  return text.length * 3 <= maxBytes || encoder.encode(text).length <= maxBytes
    ? Either.right(text)
    : Either.left({ path: "", expected: `at most ${maxBytes} bytes of JSON` })
}

export const parse = (text: string): Either.Either<unknown, Refusal> =>
  Either.try({
    try: (): unknown => JSON.parse(text),
    catch: () => ({ path: "", expected: "JSON text" })
  })
