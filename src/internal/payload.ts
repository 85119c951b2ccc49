/** From a payload to the text that is stored, and its unique key. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import { PayloadError } from "../JobError.js"
import { attempted } from "./attempted.js"
import * as Json from "./json.js"
import * as option from "./option.js"
import * as parseIssue from "./parseIssue.js"

/** What is known at once is an Either, as nearly always; an Either is an Effect too. */
export type AtOnceOrLater<A, E> = Either.Either<A, E> | Effect.Effect<A, E>

export interface Encoded {
  readonly text: string
  readonly uniqueKey: string | undefined
}

/** Largest payload, in bytes of JSON. */
const maxPayload = 262_144

/** The parsers are made once a definition, not once a job: making one costs more than running it. */
export const encoder = <A>(
  job: string,
  schema: Schema.Schema<A, unknown>,
  uniqueKey: ((payload: A) => string | undefined) | undefined
): ((payload: unknown, storageLimit: number) => AtOnceOrLater<Encoded, PayloadError>) => {
  const refused = (refusal: Json.Refusal) => new PayloadError({ job, ...refusal })
  const unparsed = (issue: ParseResult.ParseIssue) => refused(parseIssue.describe(issue))
  const validate = ParseResult.validate(schema)
  const encode = ParseResult.encode(schema)
  const validateNow = ParseResult.validateEither(schema)
  const encodeNow = ParseResult.encodeUnknownEither(schema)
  const keyOf = (payload: A): Either.Either<string | undefined, PayloadError> => {
    if (uniqueKey === undefined) return Either.right(undefined)
    const key = Either.try({
      try: () => uniqueKey(payload),
      catch: () => refused({ path: "uniqueKey", expected: "a function that does not throw" })
    })
    return Either.flatMap(key, (text) => {
      const refusal = text === undefined ? undefined : option.uniqueKey("uniqueKey", text)
      return refusal === undefined
        ? Either.right(text)
        : Either.left(refused({ path: "uniqueKey", expected: refusal.rule.replace(/^must be /, "") }))
    })
  }
  const toText = (
    encoded: unknown,
    storageLimit: number,
    key: Either.Either<string | undefined, PayloadError>
  ): Either.Either<Encoded, PayloadError> => {
    const text = Json.stringify(encoded, Math.min(maxPayload, storageLimit))
    if (Either.isLeft(text)) return Either.left(refused(text.left))
    return Either.isLeft(key) ? Either.left(key.left) : Either.right({ text: text.right, uniqueKey: key.right })
  }
  const keyless = Either.right(undefined)
  /** With the payload that names a key: the function that does must be given one that was looked at before. */
  const looked = (value: unknown) =>
    Either.flatMap(validateNow(value), (payload) =>
      Either.map(encodeNow(payload), (encoded) => ({ encoded, key: keyOf(payload) }))
    )
  /** To encode is to look at all that is written. */
  const atOnce = (value: unknown, storageLimit: number): Either.Either<Encoded, PayloadError> | undefined => {
    if (uniqueKey === undefined) {
      const now = attempted(() => encodeNow(value))
      return Either.isLeft(now) ? undefined : toText(now.right, storageLimit, keyless)
    }
    const now = attempted(() => looked(value))
    return Either.isLeft(now) ? undefined : toText(now.right.encoded, storageLimit, now.right.key)
  }
  return (input, storageLimit) => {
    const value = input === undefined ? {} : input
    const now = atOnce(value, storageLimit)
    if (now !== undefined) return now
    // what does not encode at once may need time to, or may not encode at all
    return Effect.flatMap(Effect.mapError(validate(value), unparsed), (payload) =>
      Effect.flatMap(Effect.mapError(encode(payload), unparsed), (encoded) =>
        toText(encoded, storageLimit, keyOf(payload))
      )
    )
  }
}
