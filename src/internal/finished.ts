/** What a finished row says in the job's own types. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as Job from "../Job.js"
import { JobFailed, ResultError } from "../JobError.js"
import type { JobRow } from "../JobStorage.js"
import * as failure from "./failure.js"
import * as Json from "./json.js"
import * as parseIssue from "./parseIssue.js"

export const decode = <J extends Job.Any>(
  job: J,
  row: JobRow
): Effect.Effect<Exit.Exit<Job.Success<J>, Job.Error<J> | JobFailed>, ResultError> => {
  const unreadable = (refusal: Json.Refusal) => new ResultError({ job: job.name, id: row.id, ...refusal })
  const value = <T>(schema: Schema.Schema<T, unknown>, encoded: unknown) =>
    Effect.mapError(ParseResult.decodeUnknown(schema)(encoded), (issue) => unreadable(parseIssue.describe(issue)))
  if (row.state === "completed") {
    return Effect.flatMap(
      row.result === null ? Either.right(undefined) : Either.mapLeft(Json.parse(row.result), unreadable),
      (result) => Effect.map(value(Schema.make<Job.Success<J>, unknown>(job.successSchema.ast), result), Exit.succeed)
    )
  }
  const stored = failure.read(row.failure)
  if (Either.isLeft(stored)) return Effect.fail(unreadable({ path: "failure", expected: "a stored failure" }))
  return stored.right.kind === "fail"
    ? Effect.map(value(Schema.make<Job.Error<J>, unknown>(job.errorSchema.ast), stored.right.error), Exit.fail)
    : Effect.succeed(Exit.fail(new JobFailed({ id: row.id, failure: stored.right })))
}
