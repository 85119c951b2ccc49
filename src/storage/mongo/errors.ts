/** Which driver errors may go away by themselves, and what of their text is safe to repeat. */
import * as Mongo from "mongodb"
import { StorageError } from "../../JobError.js"

/**
 * The server's codes for elections, shutdowns, time limits and conflicts with other writers; 64 is a write that was done
 * and that a majority has not confirmed in time, which a repeat finds.
 */
const transientCodes: ReadonlySet<number> = new Set([
  6, 7, 24, 46, 50, 64, 89, 91, 112, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436
])

const codeOf = (error: Mongo.MongoError): number | undefined =>
  typeof error.code === "number" ? error.code : undefined

/** A batch wraps what kept it from the server, a lost connection for example. */
const innermost = (error: unknown): unknown =>
  error instanceof Mongo.MongoBulkWriteError && error.errorResponse instanceof Error ? error.errorResponse : error

/** The driver lets a socket's own error through when it strikes in the middle of a write. */
const isSocketError = (error: unknown): error is Error =>
  error instanceof Error &&
  "code" in error &&
  typeof error.code === "string" &&
  /^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)/.test(error.code)

const isConnectionError = (error: unknown): error is Error =>
  error instanceof Mongo.MongoNetworkError || error instanceof Mongo.MongoServerSelectionError || isSocketError(error)

const isTransient = (error: unknown): boolean => {
  if (isConnectionError(error)) return true
  if (!(error instanceof Mongo.MongoError)) return false
  if (error.hasErrorLabel("RetryableWriteError") || error.hasErrorLabel("TransientTransactionError")) return true
  return transientCodes.has(codeOf(error) ?? 0)
}

/** A server's text may quote values and a parse error quotes the URL, so only names and codes of those are told. */
const describe = (error: unknown): string => {
  if (isConnectionError(error)) return error.message
  if (!(error instanceof Mongo.MongoError)) return "the driver failed"
  if (error instanceof Mongo.MongoServerError) {
    const code = codeOf(error) ?? 0
    return typeof error.codeName === "string" ? `${error.codeName} (${code})` : `error ${code}`
  }
  return error.name
}

/** What the driver says before it speaks to a server may hold the URL with its password, so it is not passed on. */
const isSafe = (error: unknown): boolean => error instanceof Mongo.MongoServerError || isConnectionError(error)

export const storageError = (operation: string, failure: unknown): StorageError => {
  const error = innermost(failure)
  return new StorageError({
    operation,
    message: `${operation}: ${describe(error)}`,
    isTransient: isTransient(error),
    ...(isSafe(error) ? { cause: error } : {})
  })
}

export const isDuplicateKey = (error: { readonly code?: number | string | undefined }): boolean => error.code === 11000
