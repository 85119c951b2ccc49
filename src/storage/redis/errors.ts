/** Which errors of Redis and of its driver may go away by themselves, and what of their text is safe to repeat. */
import { StorageError } from "../../JobError.js"
import { UnexpectedReply } from "./reply.js"

const read = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined

const textOf = (error: unknown): string => {
  const message = read(error, "message")
  return typeof message === "string" ? message : ""
}

/** The driver wraps: a cluster that found no node keeps the last node's error, a refused host its addresses' errors. */
const innermost = (error: unknown, depth = 0): unknown => {
  if (depth > 4) return error
  const errors = read(error, "errors")
  const inner = Array.isArray(errors) && errors.length > 0 ? errors[0] : read(error, "lastNodeError")
  return inner === undefined || inner === null ? error : innermost(inner, depth + 1)
}

/** An error reply begins with a word in capitals; errors of the socket have a code. */
const codeOf = (error: unknown): string | undefined => {
  const code = read(error, "code")
  if (typeof code === "string") return code
  return /^(?:Ready check failed: )?([A-Z][A-Z_]*)\b/.exec(textOf(error))?.[1]
}

/** Replies whose words are Redis's own and quote no argument. */
const plain =
  /^(OOM|LOADING|BUSY|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|MISCONF|NOAUTH|WRONGPASS|NOPERM|CROSSSLOT|MOVED|EXECABORT|UNBLOCKED|NOSCRIPT)$/

const transientReply =
  /^(OOM|LOADING|BUSY|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|MISCONF|MOVED|ASK|UNBLOCKED)$/

const transientSocket =
  /^(ECONNRESET|ECONNREFUSED|ECONNABORTED|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)$/

const lost =
  /^Connection is closed|^Command aborted|^Socket timeout|max retries per request|^Stream isn't writeable|^Cluster isn't ready|^Failed to refresh slots cache|^Too many Cluster redirections/

const late = /^Command timed out|^timeout$|in time$/

export const isNoScript = (error: unknown): boolean => codeOf(error) === "NOSCRIPT"

const isTransient = (error: unknown): boolean => {
  const code = codeOf(error)
  return (
    (code !== undefined && (transientReply.test(code) || transientSocket.test(code))) ||
    lost.test(textOf(error)) ||
    late.test(textOf(error))
  )
}

const describe = (error: unknown): string => {
  if (error instanceof UnexpectedReply) return error.message
  const code = codeOf(error)
  const message = textOf(error)
  const line = /user_script:(\d+)/.exec(message)?.[1]
  if (line !== undefined) return `line ${line} of the script failed`
  if (code !== undefined) {
    return plain.test(code) ? message : transientSocket.test(code) ? `the connection failed (${code})` : `error ${code}`
  }
  return late.test(message) ? "no answer in time" : lost.test(message) ? "the connection is lost" : "the driver failed"
}

/** Without the driver's error as its cause: that one carries the command and its arguments, payloads and passwords. */
export const storageError = (operation: string, error: unknown): StorageError => {
  if (error instanceof StorageError) return error
  const inner = innermost(error)
  return new StorageError({
    operation,
    message: `${operation}: ${describe(inner)}`,
    isTransient: isTransient(inner) || (inner !== error && isTransient(error) && codeOf(inner) === undefined)
  })
}
