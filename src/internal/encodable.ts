/** Whether the encoded side of a schema can be JSON, judged when a job is defined. */
import * as AST from "effect/SchemaAST"
import type { Refusal } from "./json.js"

const join = (path: string, key: PropertyKey): string => (path === "" ? String(key) : `${path}.${String(key)}`)

/** The first place that never encodes to JSON, or undefined. What `unknown` holds is judged when a value is encoded. */
export const refusal = (ast: AST.AST): Refusal | undefined => {
  const seen = new Set<AST.AST>()
  const look = (node: AST.AST, path: string, absentAllowed: boolean): Refusal | undefined => {
    const first = (nodes: Iterable<readonly [AST.AST, string, boolean]>): Refusal | undefined => {
      for (const [child, at, absent] of nodes) {
        const found = look(child, at, absent)
        if (found !== undefined) return found
      }
      return undefined
    }
    switch (node._tag) {
      case "Declaration":
      case "BigIntKeyword":
      case "SymbolKeyword":
      case "UniqueSymbol":
        return {
          path,
          expected: `encoded to JSON, which ${node._tag === "Declaration" ? "this type" : node._tag} is not`
        }
      case "UndefinedKeyword":
      case "VoidKeyword":
        return absentAllowed ? undefined : { path, expected: "encoded to JSON, which undefined is not" }
      case "Literal":
        return typeof node.literal === "bigint"
          ? { path, expected: "encoded to JSON, which a bigint is not" }
          : undefined
      case "Refinement":
        return look(node.from, path, absentAllowed)
      case "Transformation":
        return look(node.from, path, absentAllowed)
      case "Union":
        return first(node.types.map((type) => [type, path, absentAllowed] as const))
      case "TupleType":
        return first([
          ...node.elements.map((element, i) => [element.type, join(path, i), false] as const),
          ...node.rest.map((rest) => [rest.type, join(path, "[]"), false] as const)
        ])
      case "TypeLiteral":
        return first([
          // JSON leaves out a member that is undefined
          ...node.propertySignatures.map((member) => [member.type, join(path, member.name), true] as const),
          ...node.indexSignatures.map((index) => [index.type, join(path, "[]"), true] as const)
        ])
      case "Suspend": {
        const inner = node.f()
        if (seen.has(inner)) return undefined
        seen.add(inner)
        return look(inner, path, absentAllowed)
      }
      default:
        return undefined
    }
  }
  return look(AST.encodedAST(ast), "", true)
}
