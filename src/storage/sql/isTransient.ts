/** Which driver errors may go away by themselves, and what of their text is safe to repeat. */

interface DriverError {
  readonly code: string | undefined
  readonly message: string
}

const read = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined

/** The innermost error that has a code: `SqlError` wraps the driver's, pools wrap the socket's. */
export const driverError = (error: unknown, depth = 0): DriverError => {
  const code = read(error, "code")
  const message = read(error, "message")
  const here = {
    code: typeof code === "string" ? code : undefined,
    message: typeof message === "string" ? message : ""
  }
  if (here.code !== undefined || depth > 5) return here
  const errors = read(error, "errors")
  const inner = Array.isArray(errors) && errors.length > 0 ? errors[0] : read(error, "cause")
  return inner === undefined || inner === null ? here : driverError(inner, depth + 1)
}

const contention =
  /^(SQLITE_BUSY|SQLITE_LOCKED|40001$|40P01$|ER_LOCK_DEADLOCK$|ER_LOCK_WAIT_TIMEOUT$|ER_LOCK_NOWAIT$|ER_CHECKREAD$)/
const transient =
  /^(SQLITE_BUSY|SQLITE_LOCKED|40001$|40P01$|57P0|57014$|08|53300$|55P03$|ER_LOCK_DEADLOCK$|ER_LOCK_WAIT_TIMEOUT$|ER_LOCK_NOWAIT$|ER_CHECKREAD$|ER_CON_COUNT_ERROR$|ER_TOO_MANY_USER_CONNECTIONS$|ER_SERVER_SHUTDOWN$|ER_NORMAL_SHUTDOWN$|ER_QUERY_INTERRUPTED$|ER_CONNECTION_KILLED$|ER_QUERY_TIMEOUT$|ER_STATEMENT_TIMEOUT$|ER_OPTION_PREVENTS_STATEMENT$|ER_CLIENT_INTERACTION_TIMEOUT$|ER_DISK_FULL$|ER_RECORD_FILE_FULL$|PROTOCOL_CONNECTION_LOST$|ECONNRESET$|ECONNREFUSED$|EPIPE$|ETIMEDOUT$|ENOTFOUND$|EAI_AGAIN$|EHOSTUNREACH$)/
const lostConnection =
  /Connection terminated|Connection timed out|Connection ended|timeout exceeded|not queryable|Client has encountered a connection error|closed state|connection timeout|Pool is closed/i

/** Another writer was in the way: the same statement may succeed in a moment. */
export const isContention = (error: unknown): boolean => contention.test(driverError(error).code ?? "")

export const isTransient = (error: unknown): boolean => {
  const { code, message } = driverError(error)
  return code === undefined ? lostConnection.test(message) : transient.test(code) || lostConnection.test(message)
}

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
  /^ER_(ACCESS_DENIED|DBACCESS_DENIED|TABLEACCESS_DENIED|BAD_DB|NO_DB|NO_SUCH_TABLE|BAD_FIELD|PARSE|LOCK|CHECKREAD|CON_COUNT|TOO_MANY|SERVER_SHUTDOWN|NORMAL_SHUTDOWN|QUERY|CONNECTION_KILLED|STATEMENT|OPTION_PREVENTS|HOST|NOT_SUPPORTED_AUTH|SECURE_TRANSPORT|NET_PACKET_TOO_LARGE|MAX_PREPARED|RECORD_FILE_FULL|DISK_FULL|DATA_TOO_LONG|CLIENT)/

/** The driver's words; data exceptions (class 22) and unknown classes may quote a value, so only their code is told. */
export const describe = (error: unknown): string => {
  const { code, message } = driverError(error)
  if (code === undefined) return lostConnection.test(message) ? message : "the driver failed"
  return plain.test(code) || /^(SQLITE_|HANDSHAKE_|PROTOCOL_|E(?!R_)[A-Z_]+$|08|23|28|3D|3F|40|42|53|55|57)/.test(code)
    ? `${message} (${code})`
    : `error ${code}`
}
