import { assert, describe, it } from "@effect/vitest"
import { Job, JobError } from "dbjobq"
import { Schema } from "effect"

const refusal = (define: () => unknown): JobError.InvalidOption => {
  try {
    define()
  } catch (error) {
    if (error instanceof JobError.InvalidOption) return error
    throw error
  }
  throw new Error("the definition was accepted")
}

interface Tree {
  readonly at: Date
  readonly children: ReadonlyArray<Tree>
}

describe("Job.make", () => {
  it("refuses, by field, a schema whose encoded side is not JSON", () => {
    const fields: ReadonlyArray<readonly [string, () => unknown]> = [
      ["payload.at", () => Job.make("J", { payload: { at: Schema.DateFromSelf } })],
      ["payload.big", () => Job.make("J", { payload: { big: Schema.BigIntFromSelf } })],
      ["payload.list.[]", () => Job.make("J", { payload: { list: Schema.Array(Schema.SymbolFromSelf) } })],
      [
        "payload.either",
        () => Job.make("J", { payload: { either: Schema.Union(Schema.String, Schema.DateFromSelf) } })
      ],
      ["success", () => Job.make("J", { success: Schema.DateFromSelf })],
      ["error.cause", () => Job.make("J", { error: Schema.Struct({ cause: Schema.instanceOf(Map) }) })]
    ]
    for (const [field, define] of fields) assert.strictEqual(refusal(define).field, field)
  })

  it("accepts what encodes to JSON, recursive schemas included", () => {
    const Tree: Schema.Schema<Tree, unknown> = Schema.make(
      Schema.Struct({
        at: Schema.Date,
        children: Schema.Array(Schema.suspend((): Schema.Schema<Tree, unknown> => Tree))
      }).ast
    )
    Job.make("J", {
      payload: { tree: Tree, when: Schema.Date, size: Schema.BigInt, note: Schema.optional(Schema.String) },
      success: Schema.Void,
      error: Schema.Union(Schema.Literal("a", 1, null), Schema.Unknown)
    })
  })

  it("refuses, by field, a name, queue, priority, retry count or timeout outside its rule", () => {
    assert.strictEqual(refusal(() => Job.make("a b")).field, "name")
    assert.strictEqual(refusal(() => Job.make("J", { queue: "" })).field, "queue")
    assert.strictEqual(refusal(() => Job.make("J", { priority: 2 ** 31 })).field, "priority")
    assert.strictEqual(refusal(() => Job.make("J", { retry: { times: -1 } })).field, "retry.times")
    assert.strictEqual(refusal(() => Job.make("J", { timeout: "-1 seconds" })).field, "timeout")
  })
})
