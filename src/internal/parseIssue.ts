/** Where a value broke its schema, without the value: the library's errors never echo a payload. */
import type * as ParseResult from "effect/ParseResult"
import type { Refusal } from "./json.js"

const isOne = (issues: ParseResult.SingleOrNonEmpty<ParseResult.ParseIssue>): issues is ParseResult.ParseIssue =>
  !Array.isArray(issues)

export const describe = (issue: ParseResult.ParseIssue, path: ReadonlyArray<PropertyKey> = []): Refusal => {
  switch (issue._tag) {
    case "Pointer":
      return describe(issue.issue, path.concat(issue.path))
    case "Composite":
      return describe(isOne(issue.issues) ? issue.issues : issue.issues[0], path)
    case "Refinement":
    case "Transformation":
      // the refinement or transformation itself refused: name it, not the type underneath
      return issue.kind === "Predicate" || issue.kind === "Transformation"
        ? { path: path.map(String).join("."), expected: String(issue.ast) }
        : describe(issue.issue, path)
    case "Missing":
      return { path: path.map(String).join("."), expected: "present" }
    case "Unexpected":
      return { path: path.map(String).join("."), expected: "absent" }
    case "Forbidden":
      return { path: path.map(String).join("."), expected: "decodable" }
    case "Type":
      return { path: path.map(String).join("."), expected: String(issue.ast) }
  }
}
