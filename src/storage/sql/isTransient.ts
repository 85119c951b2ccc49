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

const contention = /^(SQLITE_BUSY|SQLITE_LOCKED|40001$|40P01$)/
const transient =
  /^(SQLITE_BUSY|SQLITE_LOCKED|40001$|40P01$|57P0|57014$|08|53300$|55P03$|ECONNRESET$|ECONNREFUSED$|EPIPE$|ETIMEDOUT$|ENOTFOUND$|EAI_AGAIN$|EHOSTUNREACH$)/
const lostConnection =
  /Connection terminated|Connection timed out|Connection ended|timeout exceeded|not queryable|Client has encountered a connection error/i

/** Another writer was in the way: the same statement may succeed in a moment. */
export const isContention = (error: unknown): boolean => contention.test(driverError(error).code ?? "")

export const isTransient = (error: unknown): boolean => {
  const { code, message } = driverError(error)
  return code === undefined ? lostConnection.test(message) : transient.test(code) || lostConnection.test(message)
}

export const isUniqueViolation = (error: unknown): boolean => {
  const { code } = driverError(error)
  return code === "23505" || code === "SQLITE_CONSTRAINT_UNIQUE" || code === "SQLITE_CONSTRAINT_PRIMARYKEY"
}

export const isLockTimeout = (error: unknown): boolean => driverError(error).code === "55P03"

/** The driver's words; data exceptions (class 22) and unknown classes may quote a value, so only their code is told. */
export const describe = (error: unknown): string => {
  const { code, message } = driverError(error)
  if (code === undefined) return lostConnection.test(message) ? message : "the driver failed"
  return /^(SQLITE_|E[A-Z_]+$|08|23|28|3D|3F|40|42|53|55|57)/.test(code) ? `${message} (${code})` : `error ${code}`
}
