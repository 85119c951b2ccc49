/** As much of the driver as the storage uses. */
declare module "better-sqlite3" {
  interface Statement {
    /** It answers rows. */
    readonly reader: boolean
    all(...values: ReadonlyArray<unknown>): Array<object>
    run(...values: ReadonlyArray<unknown>): { readonly changes: number; readonly lastInsertRowid: number | bigint }
    /** From now on it answers rows as arrays. */
    raw(): { readonly all: (...values: ReadonlyArray<unknown>) => Array<ReadonlyArray<unknown>> }
    /** Whole numbers as bigints. */
    safeIntegers(bigints: boolean): this
  }

  class Database {
    constructor(filename: string)
    readonly inTransaction: boolean
    prepare(text: string): Statement
    pragma(text: string): unknown
    close(): void
  }

  export default Database
  export type { Statement }
}
