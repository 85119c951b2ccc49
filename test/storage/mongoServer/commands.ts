/** The commands. Each is atomic for one document; between documents others get their turn, as on a real server. */
import { setImmediate as turn } from "node:timers/promises"
import { ObjectId } from "bson"
import * as ChangeStream from "./changeStream.js"
import { type Collection, type Data, idKey, type Transaction } from "./data.js"
import { Failure, unsupported } from "./failure.js"
import { bindNow, doc, docs, matcher, pipeline, project, sort } from "./language.js"
import { updated } from "./update.js"
import type { Doc } from "./wire.js"

export interface Scope {
  readonly data: Data
  readonly cursors: Map<number, Cursor>
  readonly replicaSet: boolean
  readonly address: () => string
}

export interface Call extends Scope {
  readonly command: Doc
  readonly database: string
  readonly now: Date
  readonly transaction: Transaction | undefined
  /** The statement of this write that is to be refused, and why. */
  readonly refusal: Refusal | undefined
}

export interface Refusal {
  readonly statement: number
  readonly failure: Failure
}

type Cursor =
  | { readonly kind: "rest"; readonly namespace: string; documents: ReadonlyArray<Doc> }
  | { readonly kind: "watch"; readonly namespace: string; readonly watch: ChangeStream.Watch }

let lastCursor = 0

const target = (call: Call, name: unknown): Collection => call.data.collection(call.database, String(name))

/** Refuses what an item of a command says beyond the known fields. */
const only = (what: string, item: Doc, known: ReadonlyArray<string>): void => {
  for (const field of Object.keys(item)) if (!known.includes(field)) throw unsupported(`${what}.${field}`)
}

const filterOf = (call: Call, filter: unknown) => matcher(doc(bindNow(doc(filter), call.now)))

const find = (call: Call, from: Collection, filter: unknown): ReadonlyArray<Doc> => {
  const { ids, test } = filterOf(call, filter)
  const seen = call.data.seen(from, call.transaction)
  const candidates = ids === undefined ? seen.values() : new Set(ids.map((id) => seen.get(idKey(id))))
  const found: Array<Doc> = []
  for (const candidate of candidates) if (candidate !== undefined && test(candidate)) found.push(candidate)
  return found
}

const unlocked = async (call: Call, into: Collection, id: string): Promise<void> => {
  while (call.transaction === undefined && call.data.isLocked(into, id, undefined)) await turn()
}

/** One document at a time: what matched at first is looked at again when its turn comes. */
const each = async (
  call: Call,
  into: Collection,
  filter: unknown,
  many: boolean,
  change: (key: string, before: Doc) => boolean
): Promise<{ readonly matched: number; readonly changed: number }> => {
  const { test } = filterOf(call, filter)
  let matched = 0
  let changed = 0
  for (const candidate of find(call, into, filter)) {
    const key = idKey(candidate._id)
    if (many) await turn()
    await unlocked(call, into, key)
    const before = call.data.seen(into, call.transaction).get(key)
    if (before === undefined || !test(before)) continue
    matched++
    if (change(key, before)) changed++
    if (!many) break
  }
  return { matched, changed }
}

const sameDocument = (a: Doc, b: Doc): boolean => a === b || JSON.stringify(a) === JSON.stringify(b)

const changing = (call: Call, into: Collection, update: unknown) => {
  const bound = bindNow(update, call.now)
  return (key: string, before: Doc): boolean => {
    const after = updated(before, bound, call.now)
    if (idKey(after._id) !== key) throw new Failure(66, "ImmutableField", "the field _id is immutable")
    if (sameDocument(before, after)) return false
    call.data.write(into, key, after, call.transaction)
    return true
  }
}

const insertNew = async (call: Call, into: Collection, document: Doc): Promise<void> => {
  const key = idKey(document._id)
  await unlocked(call, into, key)
  if (call.data.seen(into, call.transaction).has(key)) {
    throw new Failure(11000, "DuplicateKey", "E11000 duplicate key error index: _id_", [], { keyPattern: { _id: 1 } })
  }
  call.data.write(into, key, document, call.transaction)
}

const upserted = (call: Call, filter: unknown, update: unknown): Doc => {
  const id = doc(filter)._id
  if (typeof id !== "string") throw unsupported("an upsert without an _id of text")
  return updated({ _id: id }, bindNow(update, call.now), call.now)
}

/** Runs the statements of a write; what one is refused for is told beside what the others did. */
const statements = async (
  call: Call,
  items: ReadonlyArray<Doc>,
  run: (item: Doc, index: number) => Promise<Doc>
): Promise<Doc> => {
  const errors: Array<Doc> = []
  const upserts: Array<unknown> = []
  let n = 0
  let nModified = 0
  for (const [index, item] of items.entries()) {
    if (index > 0) await turn()
    try {
      if (call.refusal?.statement === index) throw call.refusal.failure
      const done = await run(item, index)
      n += Number(done.n)
      nModified += Number(done.nModified ?? 0)
      if (done.upserted !== undefined) upserts.push({ index, _id: done.upserted })
    } catch (error) {
      if (!(error instanceof Failure) || error.labels.length > 0) throw error
      errors.push({ index, code: error.code, errmsg: error.message, ...error.details })
      // an error inside a transaction ends it
      if (call.transaction !== undefined) call.data.end(call.transaction, "aborted")
      if (call.command.ordered !== false || call.transaction !== undefined) break
    }
  }
  return {
    ok: 1,
    n,
    nModified,
    ...(upserts.length === 0 ? {} : { upserted: upserts }),
    ...(errors.length === 0 ? {} : { writeErrors: errors })
  }
}

const update = (call: Call): Promise<Doc> => {
  const into = target(call, call.command.update)
  return statements(call, docs(call.command.updates), async (item) => {
    only("updates", item, ["q", "u", "multi", "upsert"])
    const { changed, matched } = await each(call, into, item.q, item.multi === true, changing(call, into, item.u))
    if (matched > 0 || item.upsert !== true) return { n: matched, nModified: changed }
    const made = upserted(call, item.q, item.u)
    await insertNew(call, into, made)
    return { n: 1, upserted: made._id }
  })
}

const insert = (call: Call): Promise<Doc> => {
  const into = target(call, call.command.insert)
  return statements(call, docs(call.command.documents), async (document) => {
    await insertNew(call, into, document)
    return { n: 1 }
  })
}

const remove = (call: Call): Promise<Doc> => {
  const from = target(call, call.command.delete)
  return statements(call, docs(call.command.deletes), async (item) => {
    only("deletes", item, ["q", "limit"])
    const { matched } = await each(call, from, item.q, item.limit === 0, (key) => {
      call.data.write(from, key, undefined, call.transaction)
      return true
    })
    return { n: matched }
  })
}

const findAndModify = async (call: Call): Promise<Doc> => {
  const into = target(call, call.command.findAndModify)
  const { fields, new: returnsNew, query, sort: order, update: change } = call.command
  const [first] = sort(order, find(call, into, query))
  if (first === undefined) return { ok: 1, value: null }
  const key = idKey(first._id)
  changing(call, into, change)(key, first)
  const after = call.data.seen(into, call.transaction).get(key)
  const [value] = project(fields, [returnsNew === true && after !== undefined ? after : first])
  return { ok: 1, value }
}

const opened = (call: Call, namespace: string, found: ReadonlyArray<Doc>, size: unknown, single = false): Doc => {
  const count = size === undefined ? 101 : Number(size)
  const rest = found.slice(count)
  const id = single || rest.length === 0 ? 0 : ++lastCursor
  if (id !== 0) call.cursors.set(id, { kind: "rest", namespace, documents: rest })
  return { ok: 1, cursor: { id: BigInt(id), ns: namespace, firstBatch: found.slice(0, count) } }
}

const query = async (call: Call): Promise<Doc> => {
  const { batchSize, filter, find: name, limit, projection, singleBatch, sort: order } = call.command
  const from = target(call, name)
  const found = sort(order, find(call, from, filter))
  const limited = Number(limit ?? 0) > 0 ? found.slice(0, Number(limit)) : found
  const documents = project(bindNow(projection, call.now), limited)
  return opened(call, `${call.database}.${from.name}`, documents, batchSize, singleBatch === true)
}

const watch = async (call: Call, stages: ReadonlyArray<Doc>): Promise<Doc> => {
  if (!call.replicaSet) {
    throw new Failure(40573, "Location40573", "The $changeStream stage is only supported on replica sets")
  }
  const namespace = `${call.database}.$cmd.aggregate`
  const id = ++lastCursor
  const opened = ChangeStream.open(call.data, call.database, stages)
  call.cursors.set(id, { kind: "watch", namespace, watch: opened })
  const postBatchResumeToken = ChangeStream.token(opened.position)
  return { ok: 1, cursor: { id: BigInt(id), ns: namespace, firstBatch: [], postBatchResumeToken } }
}

const aggregate = async (call: Call): Promise<Doc> => {
  const stages = docs(bindNow(call.command.pipeline, call.now))
  if (stages[0]?.$changeStream !== undefined) return watch(call, stages)
  const from = target(call, call.command.aggregate)
  const found = pipeline(stages, [...call.data.seen(from, call.transaction).values()])
  return opened(call, `${call.database}.${from.name}`, found, doc(call.command.cursor).batchSize)
}

const getMore = async (call: Call): Promise<Doc> => {
  const id = Number(call.command.getMore)
  const cursor = call.cursors.get(id)
  if (cursor === undefined) throw new Failure(43, "CursorNotFound", `cursor id ${id} not found`)
  const { namespace: ns } = cursor
  if (cursor.kind === "watch") {
    const nextBatch = await ChangeStream.read(call.data, cursor.watch, Number(call.command.maxTimeMS ?? 1000))
    const postBatchResumeToken = ChangeStream.token(cursor.watch.position)
    return { ok: 1, cursor: { id: BigInt(call.cursors.has(id) ? id : 0), ns, nextBatch, postBatchResumeToken } }
  }
  const size = call.command.batchSize === undefined ? cursor.documents.length : Number(call.command.batchSize)
  const nextBatch = cursor.documents.slice(0, size)
  cursor.documents = cursor.documents.slice(size)
  if (cursor.documents.length === 0) call.cursors.delete(id)
  return { ok: 1, cursor: { id: BigInt(cursor.documents.length === 0 ? 0 : id), ns, nextBatch } }
}

const killCursors = async (call: Call): Promise<Doc> => {
  const ids = Array.isArray(call.command.cursors) ? call.command.cursors : []
  for (const id of ids) call.cursors.delete(Number(id))
  return { ok: 1, cursorsKilled: ids, cursorsNotFound: [], cursorsAlive: [], cursorsUnknown: [] }
}

const createIndexes = async (call: Call): Promise<Doc> => {
  const into = target(call, call.command.createIndexes)
  for (const spec of docs(call.command.indexes)) call.data.createIndex(into, spec)
  return { ok: 1 }
}

const electionId = new ObjectId()

const hello = async (call: Call): Promise<Doc> => ({
  ok: 1,
  helloOk: true,
  ismaster: true,
  isWritablePrimary: true,
  localTime: call.now,
  minWireVersion: 0,
  // MongoDB 7.0
  maxWireVersion: 21,
  maxBsonObjectSize: 16 * 1024 * 1024,
  maxMessageSizeBytes: 48_000_000,
  maxWriteBatchSize: 100_000,
  logicalSessionTimeoutMinutes: 30,
  readOnly: false,
  ...(call.command.saslSupportedMechs === undefined ? {} : { saslSupportedMechs: ["SCRAM-SHA-256"] }),
  ...(call.replicaSet
    ? {
        setName: "fixture",
        setVersion: 1,
        electionId,
        hosts: [call.address()],
        primary: call.address(),
        me: call.address(),
        secondary: false
      }
    : {})
})

const done = async (): Promise<Doc> => ({ ok: 1 })

/** It knows no users. */
const saslStart = async (): Promise<Doc> => {
  throw new Failure(18, "AuthenticationFailed", "Authentication failed.")
}

const dropDatabase = async (call: Call): Promise<Doc> => {
  call.data.databases.delete(call.database)
  return { ok: 1 }
}

const ending =
  (state: "committed" | "aborted") =>
  async (call: Call): Promise<Doc> => {
    if (call.transaction !== undefined) call.data.end(call.transaction, state)
    return { ok: 1 }
  }

interface Command {
  readonly run: (call: Call) => Promise<Doc>
  /** The fields it understands, beside those that every command has. */
  readonly fields: ReadonlyArray<string>
}

const helloCommand: Command = {
  run: hello,
  fields: ["helloOk", "client", "compression", "saslSupportedMechs", "speculativeAuthenticate", "backpressure"]
}

export const commands: { readonly [name: string]: Command } = {
  hello: helloCommand,
  ismaster: helloCommand,
  ping: { run: done, fields: [] },
  endSessions: { run: done, fields: [] },
  saslStart: { run: saslStart, fields: ["mechanism", "payload", "autoAuthorize", "options"] },
  insert: { run: insert, fields: ["documents", "ordered"] },
  update: { run: update, fields: ["updates", "ordered"] },
  delete: { run: remove, fields: ["deletes", "ordered"] },
  findAndModify: { run: findAndModify, fields: ["query", "update", "sort", "new", "fields", "remove", "upsert"] },
  find: { run: query, fields: ["filter", "projection", "sort", "limit", "batchSize", "singleBatch"] },
  aggregate: { run: aggregate, fields: ["pipeline", "cursor"] },
  getMore: { run: getMore, fields: ["collection", "batchSize"] },
  killCursors: { run: killCursors, fields: ["cursors"] },
  createIndexes: { run: createIndexes, fields: ["indexes"] },
  dropDatabase: { run: dropDatabase, fields: [] },
  commitTransaction: { run: ending("committed"), fields: [] },
  abortTransaction: { run: ending("aborted"), fields: [] }
}

const common: ReadonlyArray<string> = [
  "lsid",
  "$db",
  "$clusterTime",
  "$readPreference",
  "txnNumber",
  "autocommit",
  "startTransaction",
  "readConcern",
  "writeConcern",
  "maxTimeMS"
]

export const nameOf = (command: Doc): string => Object.keys(command)[0] ?? ""

export const commandOf = (document: Doc): Command => {
  const name = nameOf(document)
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) throw new Failure(59, "CommandNotFound", `the fixture does not implement ${name}`)
  for (const field of Object.keys(document)) {
    if (field !== name && !common.includes(field) && !command.fields.includes(field)) {
      throw unsupported(`${name}.${field}`)
    }
  }
  if (name === "findAndModify" && (document.remove === true || document.upsert === true)) {
    throw unsupported("findAndModify with remove or upsert")
  }
  return command
}
