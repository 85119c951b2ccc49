/** Which driver errors may go away by themselves, and what of their text is safe to repeat. */

interface DriverError {
  readonly code: string | undefined
  readonly message: string
}

const read = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined

/** mysql2 names only the errors that MySQL knows; MariaDB's own and those of proxies come with their number alone. */
const codeOf = (error: unknown): string | undefined => {
  const code = read(error, "code")
  const number = read(error, "errno")
  return typeof code === "string" ? code : typeof number === "number" ? `ER_${number}` : undefined
}

/** The innermost error that has a code: `SqlError` wraps the driver's, pools wrap the socket's. */
export const driverError = (error: unknown, depth = 0): DriverError => {
  const message = read(error, "message")
  const here = {
    code: codeOf(error),
    message: typeof message === "string" ? message : ""
  }
  if (here.code !== undefined || depth > 5) return here
  const errors = read(error, "errors")
  const inner = Array.isArray(errors) && errors.length > 0 ? errors[0] : read(error, "cause")
  return inner === undefined || inner === null ? here : driverError(inner, depth + 1)
}

const contention =
  /^(SQLITE_BUSY|SQLITE_LOCKED|40001$|40P01$|ER_LOCK_DEADLOCK$|ER_LOCK_WAIT_TIMEOUT$|ER_LOCK_NOWAIT$|ER_CHECKREAD$)/

/** Whole codes, or the beginnings of PostgreSQL's and SQLite's. */
const anyOf = (...codes: ReadonlyArray<string>): RegExp => new RegExp(`^(${codes.join("|")})`)

const transientSqlite = anyOf("SQLITE_(BUSY|LOCKED|PROTOCOL|IOERR|FULL|NOMEM)")

const transientPg = anyOf(
  "08", // the connection
  "25006$", // read only: a standby, for as long as a failover takes
  "25P0[34]$", // the session idled, or its transaction took, too long
  "40001$|40003$|40P01$", // other writers; a statement whose end is unknown
  "53", // memory, disk, connections
  "55P03$", // a lock
  "57014$|57P0[1235]$", // cancelled, shut down, crashed, starting up, idle
  "58030$" // input and output
)

const transientMysql = anyOf(
  "ER_(LOCK_DEADLOCK|LOCK_WAIT_TIMEOUT|LOCK_NOWAIT|LOCK_TABLE_FULL|CHECKREAD|TOO_MANY_CONCURRENT_TRXS)$",
  "ER_(CON_COUNT_ERROR|TOO_MANY_USER_CONNECTIONS|USER_LIMIT_REACHED|CANT_CREATE_THREAD|OUT_OF_RESOURCES|OUTOFMEMORY)$",
  "ER_(SERVER_SHUTDOWN|NORMAL_SHUTDOWN|SERVER_ISNT_AVAILABLE|UNKNOWN_COM_ERROR)$", // the last: Galera not joined yet
  "ER_(OPTION_PREVENTS_STATEMENT|READ_ONLY_MODE|CANT_EXECUTE_IN_READ_ONLY_TRANSACTION)$", // a failover
  "ER_(QUERY_INTERRUPTED|QUERY_TIMEOUT|SESSION_WAS_KILLED|CLIENT_INTERACTION_TIMEOUT)$",
  "ER_(ABORTING_CONNECTION|NEW_ABORTING_CONNECTION|NET_READ_ERROR|NET_READ_INTERRUPTED)$",
  "ER_(NET_ERROR_ON_WRITE|NET_WRITE_INTERRUPTED|ERROR_DURING_COMMIT|TRANSACTION_ROLLBACK_DURING_COMMIT)$",
  "ER_(DISK_FULL|RECORD_FILE_FULL)$",
  "ER_(1927|1969)$", // MariaDB: connection killed, statement took too long
  "ER_(2002|2003|2006|2013|2055|9001)$", // a proxy tells that it cannot reach the server, or lost it
  "PROTOCOL_(CONNECTION_LOST|SEQUENCE_TIMEOUT)$"
)

const transientSocket = anyOf(
  "(ECONNRESET|ECONNREFUSED|ECONNABORTED|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ENETDOWN)$"
)

const transient = [transientSqlite, transientPg, transientMysql, transientSocket]

const lostConnection =
  /Connection terminated|Connection timed out|Connection ended|timeout exceeded|not queryable|Client has encountered a connection error|closed state|connection timeout|Pool is closed/i

/** Another writer was in the way: the same statement may succeed in a moment. */
export const isContention = (error: unknown): boolean => contention.test(driverError(error).code ?? "")

export const isTransient = (error: unknown): boolean => {
  const { code, message } = driverError(error)
  return lostConnection.test(message) || (code !== undefined && transient.some((codes) => codes.test(code)))
}

/** PostgreSQL's answer of a server that a failover has demoted; mysql2 closes such connections by itself. */
export const isReadOnly = (error: unknown): boolean => driverError(error).code === "25006"

/**
 * What a prepared statement is refused for that another would not be: its connection does not know it, or knows it already,
 * as a pooler lends another for each transaction; or a migration changed what it answers, or is given. Nothing was done.
 */
export const isUnprepared = (error: unknown): boolean =>
  /^(26000|42P05|0A000|42883)$/.test(driverError(error).code ?? "")

export const isUniqueViolation = (error: unknown): boolean => {
  const { code } = driverError(error)
  return (
    code === "23505" ||
    code === "ER_DUP_ENTRY" ||
    code === "SQLITE_CONSTRAINT_UNIQUE" ||
    code === "SQLITE_CONSTRAINT_PRIMARYKEY"
  )
}

export const isLockTimeout = (error: unknown): boolean =>
  /^(55P03|ER_LOCK_WAIT_TIMEOUT)$/.test(driverError(error).code ?? "")

/** MySQL errors whose text names nothing but tables, users and locks. */
const plain =
  /^ER_(ACCESS_DENIED|DBACCESS_DENIED|TABLEACCESS_DENIED|BAD_DB|NO_DB|NO_SUCH_TABLE|BAD_FIELD|PARSE|LOCK|CHECKREAD|CON_COUNT|TOO_MANY|SERVER_SHUTDOWN|NORMAL_SHUTDOWN|QUERY|CONNECTION_KILLED|STATEMENT|OPTION_PREVENTS|READ_ONLY|CANT_EXECUTE_IN_READ_ONLY|ABORTING|NEW_ABORTING|NET_|USER_LIMIT|OUT_OF|OUTOFMEMORY|CANT_CREATE_THREAD|SESSION|SERVER_ISNT|HOST|NOT_SUPPORTED_AUTH|SECURE_TRANSPORT|MAX_PREPARED|RECORD_FILE_FULL|DISK_FULL|DATA_TOO_LONG|CLIENT)/

/** What drivers say of a client whose scope has ended. */
const closed = /database connection is not open|Cannot use a pool after calling end|Pool is closed/

/** The driver's words; data exceptions (class 22) and unknown classes may quote a value, so only their code is told. */
export const describe = (error: unknown): string => {
  const { code, message } = driverError(error)
  if (code === undefined) {
    return closed.test(message) ? "the storage is closed" : lostConnection.test(message) ? message : "the driver failed"
  }
  return plain.test(code) ||
    /^(SQLITE_|HANDSHAKE_|PROTOCOL_|E(?!R_)[A-Z_]+$|08|23|25|28|3D|3F|40|42|53|55|57|58)/.test(code)
    ? `${message} (${code})`
    : `error ${code}`
}
