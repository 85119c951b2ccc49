import { SqlError } from "@effect/sql/SqlError"
import { assert, describe, it } from "@effect/vitest"
import { describe as told, isTransient } from "../../src/storage/sql/isTransient.js"

/** As the driver raises it and `@effect/sql` wraps it. */
const raised = (fields: { readonly code?: string; readonly errno?: number }, message = "it failed") =>
  new SqlError({ cause: Object.assign(new Error(message), fields), message: "Failed to execute statement" })

const passing: ReadonlyArray<readonly [what: string, error: SqlError]> = [
  ...[
    ...["08000", "08003", "08006", "08P01", "25006", "25P03", "25P04", "40001", "40003", "40P01", "53000", "53100"],
    ...["53200", "53300", "53400", "55P03", "57014", "57P01", "57P02", "57P03", "57P05", "58030"],
    ...["SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_LOCKED", "SQLITE_PROTOCOL", "SQLITE_FULL"],
    ...["SQLITE_IOERR_WRITE", "ECONNRESET", "ECONNREFUSED", "EPIPE", "ETIMEDOUT", "ENOTFOUND", "EAI_AGAIN"],
    ...["PROTOCOL_CONNECTION_LOST", "ER_LOCK_DEADLOCK", "ER_LOCK_WAIT_TIMEOUT", "ER_CHECKREAD"]
  ].map((code) => [code, raised({ code })] as const),
  ...(
    [
      ["ER_CON_COUNT_ERROR", 1040],
      ["ER_SERVER_SHUTDOWN", 1053],
      ["ER_ABORTING_CONNECTION", 1152],
      ["ER_NET_READ_ERROR", 1158],
      ["ER_ERROR_DURING_COMMIT", 1180],
      ["ER_NEW_ABORTING_CONNECTION", 1184],
      ["ER_TOO_MANY_USER_CONNECTIONS", 1203],
      ["ER_USER_LIMIT_REACHED", 1226],
      ["ER_OPTION_PREVENTS_STATEMENT", 1290],
      ["ER_QUERY_INTERRUPTED", 1317],
      ["ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION", 1792],
      ["ER_READ_ONLY_MODE", 1836],
      ["ER_QUERY_TIMEOUT", 3024],
      ["ER_CLIENT_INTERACTION_TIMEOUT", 4031]
    ] as const
  ).map(([code, errno]) => [code, raised({ code, errno })] as const),
  // mysql2 has no names for those of MariaDB and of proxies
  ...[1927, 1969, 2006, 2013, 9001].map((errno) => [String(errno), raised({ errno })] as const),
  ["no code", raised({}, "Connection terminated unexpectedly")]
]

const lasting: ReadonlyArray<readonly [what: string, error: SqlError]> = [
  ...["22001", "22P02", "23505", "23514", "25001", "28P01", "3D000", "40002", "42501", "42P01", "57P04", "XX000"],
  ...["SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_READONLY", "SQLITE_CANTOPEN"],
  ...["ER_DUP_ENTRY", "ER_ACCESS_DENIED_ERROR", "ER_NO_SUCH_TABLE", "ER_PARSE_ERROR"]
].map((code) => [code, raised({ code })] as const)

describe("which driver errors may go away by themselves", () => {
  it.each(passing)("%s does", (_, error) => assert.isTrue(isTransient(error)))
  it.each([...lasting, ["no code", raised({})] as const])("%s does not", (_, error) =>
    assert.isFalse(isTransient(error))
  )
  it.each([...passing, ...lasting])("%s is told by its code or its words", (what, error) =>
    assert.include(told(error), what === "no code" ? "Connection terminated" : what)
  )
  it("a text that may quote a value is not repeated", () =>
    assert.strictEqual(told(raised({ code: "22001" }, "value s3cret")), "error 22001"))
})
