/** Runs code of a user's schema at once, which may throw. */
import * as Either from "effect/Either"

export const attempted = <T>(run: () => Either.Either<T, unknown>): Either.Either<T, unknown> => {
  const ran = Either.try(run)
  return Either.isRight(ran) ? ran.right : Either.left(ran.left)
}
