/** The query language by mingo, with the operators that the storage uses and no other. */
import { Aggregator } from "mingo/aggregator"
import { Context } from "mingo/core"
import { $sum } from "mingo/operators/accumulator"
import {
  $add,
  $and,
  $cond,
  $eq,
  $gte,
  $in,
  $literal,
  $lte,
  $mergeObjects,
  $ne,
  $not,
  $or,
  $subtract,
  $switch,
  $type
} from "mingo/operators/expression"
import { $group, $match, $project, $replaceWith, $set, $sort } from "mingo/operators/pipeline"
import * as Queries from "mingo/operators/query"
import { Query } from "mingo/query"
import { unsupported } from "./failure.js"
import type { Doc } from "./wire.js"

const context = Context.init({
  accumulator: { $sum },
  expression: {
    $add,
    $and,
    $cond,
    $eq,
    $gte,
    $in,
    $literal,
    $lte,
    $mergeObjects,
    $ne,
    $not,
    $or,
    $subtract,
    $switch,
    $type
  },
  pipeline: { $group, $match, $project, $replaceWith, $set, $sort },
  query: {
    $and: Queries.$and,
    $eq: Queries.$eq,
    $exists: Queries.$exists,
    $expr: Queries.$expr,
    $gt: Queries.$gt,
    $gte: Queries.$gte,
    $in: Queries.$in,
    $lt: Queries.$lt,
    $lte: Queries.$lte,
    $ne: Queries.$ne,
    $nin: Queries.$nin,
    $nor: Queries.$nor,
    $or: Queries.$or
  }
})

export const isDoc = (value: unknown): value is Doc =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype

export const docs = (value: unknown): ReadonlyArray<Doc> => (Array.isArray(value) ? value.filter(isDoc) : [])

export const doc = (value: unknown): Doc => (isDoc(value) ? value : {})

/** `$$NOW` is one instant throughout a command. */
export const bindNow = (value: unknown, now: Date): unknown => {
  if (value === "$$NOW") return now
  if (Array.isArray(value)) return value.map((one) => bindNow(one, now))
  if (!isDoc(value) || "$literal" in value) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, bindNow(one, now)]))
}

const scalar = (value: unknown): boolean =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean"

export interface Matcher {
  /** The only ids that can match; undefined when any can. */
  readonly ids: ReadonlyArray<unknown> | undefined
  readonly test: (document: Doc) => boolean
}

const idsOf = (filter: Doc): ReadonlyArray<unknown> | undefined => {
  const id = filter._id
  if (typeof id === "string") return [id]
  if (isDoc(id) && Array.isArray(id.$in)) return id.$in
  for (const member of docs(filter.$and)) {
    const ids = idsOf(member)
    if (ids !== undefined) return ids
  }
  return undefined
}

/** Of one plain field and one of some plain values, nothing else. */
const plain = ([key, condition]: readonly [string, unknown]): ReadonlyArray<
  readonly [string, ReadonlySet<unknown>]
> => {
  if (/[$.]/.test(key)) return []
  const values = isDoc(condition) && Object.keys(condition).length === 1 ? condition.$in : [condition]
  return Array.isArray(values) && values.every(scalar) ? [[key, new Set(values)]] : []
}

export const matcher = (filter: Doc): Matcher => {
  const query = new Query({ ...filter }, { context })
  // they are cheap and rule out most
  const equalities = Object.entries(filter).flatMap(plain)
  const complete = equalities.length === Object.keys(filter).length
  return {
    ids: idsOf(filter),
    test: (document) => {
      // a list matches by its members
      const lists = equalities.some(([key]) => Array.isArray(document[key]))
      if (!lists && !equalities.every(([key, values]) => values.has(document[key]))) return false
      return (complete && !lists) || query.test({ ...document })
    }
  }
}

export const pipeline = (stages: ReadonlyArray<Doc>, input: ReadonlyArray<Doc>): ReadonlyArray<Doc> =>
  new Aggregator(
    stages.map((stage) => ({ ...stage })),
    { context }
  ).run<Doc>([...input])

export const project = (projection: unknown, input: ReadonlyArray<Doc>): ReadonlyArray<Doc> =>
  isDoc(projection) && Object.keys(projection).length > 0 ? pipeline([{ $project: projection }], input) : input

const rank = (value: unknown): number => {
  if (value === undefined || value === null) return 0
  if (typeof value === "number") return 1
  if (typeof value === "string") return 2
  if (typeof value === "boolean") return 4
  if (value instanceof Date) return 5
  throw unsupported(`sorting a ${typeof value}`)
}

const compare = (a: unknown, b: unknown): number => {
  const ranks = rank(a) - rank(b)
  if (ranks !== 0) return ranks
  if (typeof a === "string" && typeof b === "string") {
    // the server compares bytes; below the surrogates that is the order of JavaScript too
    if (/[\ud800-\uffff]/.test(a + b)) return Buffer.compare(Buffer.from(a), Buffer.from(b))
    return a < b ? -1 : a > b ? 1 : 0
  }
  return Number(a ?? 0) - Number(b ?? 0)
}

export const sort = (order: unknown, input: ReadonlyArray<Doc>): ReadonlyArray<Doc> => {
  const keys = Object.entries(doc(order))
  return [...input].sort((a, b) => {
    for (const [key, direction] of keys) {
      const result = compare(a[key], b[key]) * Number(direction)
      if (result !== 0) return result
    }
    return 0
  })
}
