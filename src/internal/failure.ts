/** From a Cause to the failure that is stored: structural, sanitised and bounded. */
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Failure from "../Failure.js"
import { storable } from "./wellFormed.js"

const maxName = 200
const maxMessage = 2_000
const maxStack = 8_000

const text = (value: string, max: number): string => storable(value.slice(0, max))

const member = (value: unknown, key: string): string | undefined => {
  // a getter of a hostile error may throw
  try {
    const found = Predicate.hasProperty(value, key) ? value[key] : undefined
    return typeof found === "string" ? found : undefined
  } catch {
    return undefined
  }
}

/** What can be said of any thrown or failed value. */
export const make = (kind: Failure.Kind, value: unknown, error?: unknown): Failure.Encoded => {
  const stack = member(value, "stack")
  const message =
    typeof value === "string"
      ? value
      : (member(value, "message") ?? `a ${value === null ? "null" : typeof value} was thrown`)
  return {
    v: 1,
    kind,
    name: text(member(value, "_tag") ?? member(value, "name") ?? "Error", maxName),
    message: text(message, maxMessage),
    ...(stack === undefined ? {} : { stack: text(stack, maxStack) }),
    ...(error === undefined ? {} : { error })
  }
}

export const stated = (kind: Failure.Kind, name: string, message: string): Failure.Encoded => ({
  v: 1,
  kind,
  name: text(name, maxName),
  message: text(message, maxMessage)
})

/** What a row's `failure` column says. */
export const read = Schema.decodeUnknownEither(Schema.parseJson(Failure.Encoded))
