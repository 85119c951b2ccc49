/** Where a value broke its schema, without the value: the library's errors never echo a payload. */
import type * as ParseResult from "effect/ParseResult"
import type * as AST from "effect/SchemaAST"
import type { Refusal } from "./json.js"

const isOne = (issues: ParseResult.SingleOrNonEmpty<ParseResult.ParseIssue>): issues is ParseResult.ParseIssue =>
  !Array.isArray(issues)

const nameOf = (ast: AST.AST): string => {
  const name = String(ast)
  // quotes with nothing between them, or no name at all, say nothing in a sentence
  return name === '""' ? "an empty string" : name === "" ? "of the schema's type" : name
}

export const describe = (issue: ParseResult.ParseIssue, path: ReadonlyArray<PropertyKey> = []): Refusal => {
  switch (issue._tag) {
    case "Pointer":
      return describe(issue.issue, path.concat(issue.path))
    case "Composite":
      if (isOne(issue.issues)) return describe(issue.issues, path)
      // no member of a union fits: name them all, unless one was singled out
      return issue.ast._tag === "Union" && issue.issues.length > 1
        ? { path: path.map(String).join("."), expected: nameOf(issue.ast) }
        : describe(issue.issues[0], path)
    case "Refinement":
    case "Transformation":
      // the refinement or transformation itself refused: name it, not the type underneath
      return issue.kind === "Predicate" || issue.kind === "Transformation"
        ? { path: path.map(String).join("."), expected: nameOf(issue.ast) }
        : describe(issue.issue, path)
    case "Missing":
      return { path: path.map(String).join("."), expected: "present" }
    case "Unexpected":
      return { path: path.map(String).join("."), expected: "absent" }
    case "Forbidden":
      return { path: path.map(String).join("."), expected: "decodable" }
    case "Type":
      return { path: path.map(String).join("."), expected: nameOf(issue.ast) }
  }
}
