/** What an update makes of a document: a pipeline, or the few classic operators that the storage uses. */
import { unsupported } from "./failure.js"
import { doc, isDoc, pipeline } from "./language.js"
import type { Doc } from "./wire.js"

const topLevel = (fields: unknown): ReadonlyArray<readonly [string, unknown]> =>
  Object.entries(doc(fields)).map(([field, value]) => {
    if (field.includes(".")) throw unsupported(`an update of the path ${field}`)
    return [field, value] as const
  })

const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

const equal = (a: unknown, b: unknown): boolean =>
  a === b || (typeof a === "object" && typeof b === "object" && a !== null && b !== null && String(a) === String(b))

const pulls = (condition: unknown, member: unknown): boolean => {
  if (!isDoc(condition) || !isDoc(member)) throw unsupported("$pull of anything but equal fields")
  return Object.entries(condition).every(([field, value]) => {
    if (field.startsWith("$") || isDoc(value)) throw unsupported("$pull of anything but equal fields")
    return equal(member[field], value)
  })
}

const apply = (operator: string, before: Doc, field: string, value: unknown, now: Date): unknown => {
  switch (operator) {
    case "$set":
      return value
    case "$inc":
      return Number(before[field] ?? 0) + Number(value)
    case "$push":
      if (isDoc(value) && Object.keys(value).some((key) => key.startsWith("$"))) throw unsupported("modifiers of $push")
      return [...list(before[field]), value]
    case "$pull":
      return list(before[field]).filter((member) => !pulls(value, member))
    case "$currentDate":
      if (value !== true) throw unsupported("types of $currentDate")
      return now
    default:
      throw unsupported(`the update operator ${operator}`)
  }
}

export const updated = (before: Doc, update: unknown, now: Date): Doc => {
  if (Array.isArray(update)) {
    for (const stage of update) {
      const [name = ""] = Object.keys(doc(stage))
      if (name !== "$set" && name !== "$replaceWith") throw unsupported(`the update stage ${name}`)
    }
    return pipeline(update, [before])[0] ?? before
  }
  const after: { [field: string]: unknown } = { ...before }
  for (const [operator, fields] of Object.entries(doc(update))) {
    for (const [field, value] of topLevel(fields)) after[field] = apply(operator, after, field, value, now)
  }
  return after
}
