/** What of an SDK error is told, and which ones may go away by themselves. */
import { StorageError } from "../../JobError.js"

const read = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined

const text = (value: unknown): string => (typeof value === "string" ? value : "")

/** The driver's name for what went wrong; a socket error has its code instead. */
export const nameOf = (error: unknown): string => {
  const name = text(read(error, "name"))
  if (name !== "" && name !== "Error" && name !== "AggregateError") return name
  const code = text(read(error, "code"))
  return code === "" ? "the client failed" : code
}

const throttled = /^(Throttling|ThrottlingException|ProvisionedThroughputExceededException|RequestLimitExceeded)$/

const transient =
  /^(InternalServerError|ServiceUnavailable|InternalFailure|TransactionInProgressException|ReplicatedWriteConflictException|TimeoutError|RequestTimeout|RequestTimeoutException|NetworkingError|AbortError|ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)/

/** Nothing was done: the same request may be sent again at once. */
export const isThrottle = (error: unknown): boolean => throttled.test(nameOf(error))

export const isRefusedCondition = (error: unknown): boolean => nameOf(error) === "ConditionalCheckFailedException"

export const isMissingTable = (error: unknown): boolean => nameOf(error) === "ResourceNotFoundException"

export const isAlreadyThere = (error: unknown): boolean => nameOf(error) === "ResourceInUseException"

const isTransient = (error: unknown): boolean => {
  const name = nameOf(error)
  const status = read(read(error, "$metadata"), "httpStatusCode")
  return (
    throttled.test(name) ||
    transient.test(name) ||
    transient.test(text(read(error, "code"))) ||
    (typeof status === "number" && status >= 500)
  )
}

/** Only the error's name is told: the service's own sentences may quote keys, values and account names. */
export const storageError = (operation: string, error: unknown): StorageError =>
  error instanceof StorageError
    ? new StorageError({
        operation,
        message: `${operation}: ${error.message}`,
        isTransient: error.isTransient,
        ...(error.cause === undefined ? {} : { cause: error.cause })
      })
    : new StorageError({
        operation,
        message: `${operation}: ${nameOf(error)}`,
        isTransient: isTransient(error),
        cause: error
      })
