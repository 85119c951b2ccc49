/** Collections with their unique indexes, transactions, and the log of changes. Documents are never mutated. */
import { Failure, unsupported, writeConflict } from "./failure.js"
import { doc, isDoc } from "./language.js"
import type { Doc } from "./wire.js"

export interface Index {
  readonly name: string
  readonly key: Doc
  readonly unique: boolean
  readonly partial: Doc | undefined
}

export interface Change {
  readonly at: number
  readonly database: string
  readonly collection: string
  readonly id: unknown
  readonly before: Doc | undefined
  readonly after: Doc | undefined
}

export interface Collection {
  readonly database: string
  readonly name: string
  readonly documents: Map<string, Doc>
  indexes: ReadonlyArray<Index>
  /** For each unique index, the document of each key. */
  readonly unique: Map<string, Map<string, string>>
  /** Documents and unique keys that an open transaction has written. */
  readonly locks: Map<string, Transaction>
}

export interface Transaction {
  readonly number: number
  state: "open" | "committed" | "aborted"
  readonly snapshots: Map<Collection, Map<string, Doc>>
  readonly writes: Map<Collection, Map<string, Doc | undefined>>
}

export const idKey = (id: unknown): string => {
  if (typeof id === "string") return `s${id}`
  if (typeof id === "number") return `n${id}`
  if (typeof id === "object" && id !== null && "toHexString" in id) return `o${String(id)}`
  throw unsupported(`an _id of type ${typeof id}`)
}

const covers = (partial: Doc, document: Doc): boolean =>
  Object.entries(partial).every(([field, condition]) => {
    if (!isDoc(condition)) return document[field] === condition
    if (condition.$exists === true && Object.keys(condition).length === 1) return document[field] !== undefined
    throw unsupported("this partialFilterExpression")
  })

const indexKey = (index: Index, document: Doc): string | undefined =>
  index.partial !== undefined && !covers(index.partial, document)
    ? undefined
    : JSON.stringify(Object.keys(index.key).map((field) => document[field] ?? null))

const duplicate = (collection: Collection, index: Index): Failure =>
  new Failure(
    11000,
    "DuplicateKey",
    `E11000 duplicate key error collection: ${collection.database}.${collection.name} index: ${index.name}`,
    [],
    { keyPattern: index.key }
  )

export const makeData = () => {
  const databases = new Map<string, Map<string, Collection>>()
  const log: Array<Change> = []
  const waiting = new Set<() => void>()

  const collection = (database: string, name: string): Collection => {
    const known = databases.get(database) ?? new Map<string, Collection>()
    databases.set(database, known)
    const found = known.get(name)
    if (found !== undefined) return found
    const made: Collection = { database, name, documents: new Map(), indexes: [], unique: new Map(), locks: new Map() }
    known.set(name, made)
    return made
  }

  /** The documents as this transaction, or anyone outside of it, sees them. */
  const seen = (from: Collection, transaction: Transaction | undefined): ReadonlyMap<string, Doc> => {
    if (transaction === undefined) return from.documents
    const snapshot = transaction.snapshots.get(from) ?? new Map(from.documents)
    transaction.snapshots.set(from, snapshot)
    return snapshot
  }

  const holder = (into: Collection, index: Index, key: string, transaction: Transaction | undefined) => {
    for (const [id, document] of transaction?.writes.get(into) ?? []) {
      if (document !== undefined && indexKey(index, document) === key) return id
    }
    const found = into.unique.get(index.name)?.get(key)
    return found !== undefined && transaction?.writes.get(into)?.has(found) === true ? undefined : found
  }

  const checkUnique = (into: Collection, id: string, after: Doc, transaction: Transaction | undefined): void => {
    for (const index of into.indexes) {
      const key = index.unique ? indexKey(index, after) : undefined
      if (key === undefined) continue
      const found = holder(into, index, key, transaction)
      if (found !== undefined && found !== id) throw duplicate(into, index)
      if (transaction !== undefined) lock(into, `${index.name}${key}`, transaction)
    }
  }

  const lock = (into: Collection, key: string, transaction: Transaction): void => {
    const other = into.locks.get(key)
    if (other !== undefined && other !== transaction && other.state === "open") throw writeConflict()
    into.locks.set(key, transaction)
  }

  const store = (into: Collection, id: string, after: Doc | undefined): void => {
    const before = into.documents.get(id)
    if (before === after) return
    for (const index of into.indexes) {
      if (!index.unique) continue
      const keys = into.unique.get(index.name) ?? new Map<string, string>()
      into.unique.set(index.name, keys)
      const old = before === undefined ? undefined : indexKey(index, before)
      if (old !== undefined && keys.get(old) === id) keys.delete(old)
      const key = after === undefined ? undefined : indexKey(index, after)
      if (key !== undefined) keys.set(key, id)
    }
    if (after === undefined) into.documents.delete(id)
    else into.documents.set(id, after)
    const change = { at: log.length + 1, database: into.database, collection: into.name, before, after }
    log.push({ ...change, id: (after ?? before)?._id })
    for (const wake of waiting) wake()
  }

  /** Whether a transaction that is still open has written the document: others wait for its end. */
  const isLocked = (into: Collection, id: string, transaction: Transaction | undefined): boolean => {
    const other = into.locks.get(id)
    return other !== undefined && other !== transaction && other.state === "open"
  }

  const write = (into: Collection, id: string, after: Doc | undefined, transaction: Transaction | undefined): void => {
    if (after !== undefined) checkUnique(into, id, after, transaction)
    if (transaction === undefined) {
      store(into, id, after)
      return
    }
    const snapshot = seen(into, transaction)
    const writes = transaction.writes.get(into) ?? new Map<string, Doc | undefined>()
    transaction.writes.set(into, writes)
    // somebody else has changed it since the transaction began
    if (!writes.has(id) && snapshot.get(id) !== into.documents.get(id)) throw writeConflict()
    lock(into, id, transaction)
    writes.set(id, after)
    const own = new Map(snapshot)
    if (after === undefined) own.delete(id)
    else own.set(id, after)
    transaction.snapshots.set(into, own)
  }

  const begin = (number: number): Transaction => {
    const snapshots = new Map<Collection, Map<string, Doc>>()
    for (const known of databases.values()) {
      for (const one of known.values()) snapshots.set(one, new Map(one.documents))
    }
    return { number, state: "open", snapshots, writes: new Map() }
  }

  const end = (transaction: Transaction, state: "committed" | "aborted"): void => {
    if (transaction.state !== "open") return
    transaction.state = state
    for (const [into, writes] of transaction.writes) {
      for (const [key, owner] of into.locks) if (owner === transaction) into.locks.delete(key)
      if (state === "aborted") continue
      for (const [id, after] of writes) store(into, id, after)
    }
  }

  const createIndex = (into: Collection, spec: Doc): void => {
    if (into.indexes.some((index) => index.name === spec.name)) return
    const { key, name, partialFilterExpression, unique, ...rest } = spec
    for (const option of Object.keys(rest)) throw unsupported(`the index option ${option}`)
    const index: Index = {
      name: String(name),
      key: doc(key),
      unique: unique === true,
      partial: isDoc(partialFilterExpression) ? partialFilterExpression : undefined
    }
    if (index.unique && into.documents.size > 0) throw unsupported("a unique index on a collection that has documents")
    into.indexes = [...into.indexes, index]
  }

  /** Answers once something has changed, or the time is over. */
  const changed = (millis: number): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        waiting.delete(done)
        resolve()
      }
      const timer = setTimeout(done, millis)
      waiting.add(done)
    })

  return { databases, log, collection, seen, write, isLocked, begin, end, createIndex, changed }
}

export type Data = ReturnType<typeof makeData>
