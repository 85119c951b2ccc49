/** The wire protocol: OP_MSG, and the OP_QUERY with which drivers say hello. */
import { deserialize, serialize } from "bson"

export interface Doc {
  readonly [field: string]: unknown
}

export interface Request {
  readonly id: number
  readonly command: Doc
  readonly legacy: boolean
  /** The driver expects no reply. */
  readonly silent: boolean
}

const opReply = 1
const opQuery = 2004
const opMsg = 2013

const decode = (bytes: Uint8Array): Doc => deserialize(bytes)

const section = (body: Buffer, from: number): { readonly fields: Doc; readonly next: number } => {
  const kind = body.readUInt8(from)
  const size = body.readInt32LE(from + 1)
  const next = from + 1 + size
  if (kind === 0) return { fields: decode(body.subarray(from + 1, next)), next }
  if (kind !== 1) throw new Error(`OP_MSG section of kind ${kind}`)
  const end = body.indexOf(0, from + 5)
  const items: Array<Doc> = []
  for (let at = end + 1; at < next; ) {
    const length = body.readInt32LE(at)
    items.push(decode(body.subarray(at, at + length)))
    at += length
  }
  return { fields: { [body.toString("utf8", from + 5, end)]: items }, next }
}

const parseMsg = (id: number, message: Buffer): Request => {
  const flags = message.readUInt32LE(16)
  if ((flags & 1) !== 0) throw new Error("OP_MSG with a checksum")
  let command: Doc = {}
  for (let at = 20; at < message.length; ) {
    const { fields, next } = section(message, at)
    // the command's name stays its first field
    command = { ...command, ...fields }
    at = next
  }
  return { id, command, legacy: false, silent: (flags & 2) !== 0 }
}

const parseQuery = (id: number, message: Buffer): Request => {
  const end = message.indexOf(0, 20)
  return { id, command: decode(message.subarray(end + 9)), legacy: true, silent: false }
}

export const parse = (message: Buffer): Request => {
  const id = message.readInt32LE(4)
  const opCode = message.readInt32LE(12)
  if (opCode === opMsg) return parseMsg(id, message)
  if (opCode === opQuery) return parseQuery(id, message)
  throw new Error(`wire operation ${opCode}`)
}

export const reply = (request: Request, document: Doc): Buffer => {
  const body = serialize(document, { ignoreUndefined: true })
  const rest = request.legacy ? Buffer.alloc(20) : Buffer.alloc(5)
  if (request.legacy) rest.writeInt32LE(1, 16)
  const header = Buffer.alloc(16)
  header.writeInt32LE(16 + rest.length + body.length, 0)
  header.writeInt32LE(request.id, 8)
  header.writeInt32LE(request.legacy ? opReply : opMsg, 12)
  return Buffer.concat([header, rest, body])
}

/** Cuts a byte stream into messages. */
export const framer = (onMessage: (message: Buffer) => void) => {
  let chunks: Array<Buffer> = []
  let size = 0
  let wanted = 4
  return (chunk: Buffer): void => {
    chunks.push(chunk)
    size += chunk.length
    if (size < wanted) return
    let all = chunks.length === 1 ? chunk : Buffer.concat(chunks)
    wanted = 4
    while (all.length >= 4) {
      wanted = all.readInt32LE(0)
      if (all.length < wanted) break
      onMessage(all.subarray(0, wanted))
      all = all.subarray(wanted)
      wanted = 4
    }
    chunks = [all]
    size = all.length
  }
}
