/** Runs code of a user's schema at once, which may throw. */
import * as Either from "effect/Either"

export const attempted = <T>(run: () => Either.Either<T, unknown>): Either.Either<T, unknown> =>
  Either.flatMap(Either.try(run), (result) => result)
