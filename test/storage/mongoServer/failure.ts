import type { Doc } from "./wire.js"

/** An error as the server would tell it. */
export class Failure extends Error {
  readonly code: number
  readonly codeName: string
  readonly labels: ReadonlyArray<string>
  readonly details: Doc

  constructor(code: number, codeName: string, message: string, labels: ReadonlyArray<string> = [], details: Doc = {}) {
    super(message)
    this.code = code
    this.codeName = codeName
    this.labels = labels
    this.details = details
  }

  get document(): Doc {
    return {
      ok: 0,
      code: this.code,
      codeName: this.codeName,
      errmsg: this.message,
      ...(this.labels.length === 0 ? {} : { errorLabels: this.labels }),
      ...this.details
    }
  }
}

/** What this fixture does not do is refused by name, so that no test passes by accident. */
export const unsupported = (what: string): Failure =>
  new Failure(238, "NotImplemented", `the fixture does not implement ${what}`)

export const writeConflict = (): Failure =>
  new Failure(112, "WriteConflict", "write conflict", ["TransientTransactionError"])
