/**
 * A MongoDB server as far as dbjobq needs one, in this process: a test double, because no real one can be installed
 * where the tests run. It proves the calls of the driver and the storage's own logic, not MongoDB's behaviour.
 */
import { createServer, type Server, type Socket } from "node:net"
import { type Call, commandOf, nameOf, type Refusal, type Scope } from "./commands.js"
import { makeData, type Transaction } from "./data.js"
import { Failure } from "./failure.js"
import { doc } from "./language.js"
import { type Doc, framer, parse, type Request, reply } from "./wire.js"

/** What is to go wrong with the next command that fits. */
export interface Fault {
  readonly command: string
  readonly when?: (command: Doc) => boolean
  /** `lostRequest`: cut before it runs; `lostReply`: cut after; `unconfirmed`: done, but not by a majority in time. */
  readonly kind: "lostRequest" | "lostReply" | "unconfirmed" | Failure | Refusal
}

export interface Fixture {
  readonly url: string
  /** Each command as it was received. */
  onCommand: (name: string, command: Doc) => void
  readonly faults: Array<Fault>
  /** Cuts every connection; new ones are welcome. */
  readonly cut: () => void
  /** Cuts every connection and refuses new ones until `start`. */
  readonly stop: () => Promise<void>
  readonly start: () => Promise<void>
}

interface Session {
  transaction: Transaction | undefined
  /** The last retryable write and its reply: a repeat is answered, not done again. */
  write: { readonly number: number; readonly reply: Doc } | undefined
}

const noTransaction = (): Failure =>
  new Failure(251, "NoSuchTransaction", "the transaction has been aborted", ["TransientTransactionError"])

const unconfirmed: Doc = { code: 64, codeName: "WriteConcernTimeout", errmsg: "waiting for replication timed out" }

const transactionOf = (scope: Scope, session: Session, command: Doc): Transaction | undefined => {
  if (command.autocommit !== false) return undefined
  if (!scope.replicaSet) {
    throw new Failure(20, "IllegalOperation", "Transaction numbers are only allowed on a replica set member or mongos")
  }
  const ends = command.commitTransaction !== undefined || command.abortTransaction !== undefined
  if ((command.readConcern !== undefined && command.startTransaction !== true) || (command.writeConcern && !ends)) {
    throw new Failure(72, "InvalidOptions", "a command inside a transaction has no concern of its own")
  }
  const number = Number(command.txnNumber)
  if (command.startTransaction === true) session.transaction = scope.data.begin(number)
  const transaction = session.transaction
  if (transaction === undefined || transaction.number !== number || transaction.state === "aborted") {
    throw noTransaction()
  }
  return transaction
}

export const startFixture = async (options: { readonly replicaSet: boolean }): Promise<Fixture> => {
  const data = makeData()
  const sessions = new Map<string, Session>()
  const sockets = new Set<Socket>()
  const faults: Array<Fault> = []
  let port = 0
  const scope: Scope = { data, cursors: new Map(), replicaSet: options.replicaSet, address: () => `127.0.0.1:${port}` }

  const sessionOf = (command: Doc): Session => {
    const id = String(doc(command.lsid).id ?? "")
    const session = sessions.get(id) ?? { transaction: undefined, write: undefined }
    sessions.set(id, session)
    return session
  }

  const execute = async (command: Doc, refusal: Refusal | undefined): Promise<Doc> => {
    const { run } = commandOf(command)
    const session = sessionOf(command)
    const transaction = transactionOf(scope, session, command)
    const call: Call = { ...scope, command, database: String(command.$db), now: new Date(), transaction, refusal }
    if (command.txnNumber === undefined || transaction !== undefined) {
      try {
        return await run(call)
      } catch (error) {
        if (transaction !== undefined) data.end(transaction, "aborted")
        throw error
      }
    }
    const number = Number(command.txnNumber)
    if (session.write?.number === number) return session.write.reply
    const done = await run(call)
    session.write = { number, reply: done }
    return done
  }

  const takeFault = (command: Doc): Fault | undefined => {
    const at = faults.findIndex((fault) => fault.command === nameOf(command) && (fault.when?.(command) ?? true))
    return at < 0 ? undefined : faults.splice(at, 1)[0]
  }

  const answer = async (request: Request, socket: Socket): Promise<void> => {
    const { command } = request
    fixture.onCommand(nameOf(command), command)
    const fault = takeFault(command)
    if (fault?.kind === "lostRequest") {
      socket.resetAndDestroy()
      return
    }
    let document: Doc
    try {
      if (fault?.kind instanceof Failure) throw fault.kind
      document = await execute(command, typeof fault?.kind === "object" ? fault.kind : undefined)
    } catch (error) {
      document =
        error instanceof Failure ? error.document : new Failure(8, "UnknownError", `the fixture: ${error}`).document
    }
    if (fault?.kind === "unconfirmed") document = { ...document, writeConcernError: unconfirmed }
    if (fault?.kind === "lostReply") socket.resetAndDestroy()
    else if (!request.silent && !socket.destroyed) socket.write(reply(request, document))
  }

  const connected = (socket: Socket): void => {
    sockets.add(socket)
    socket.setNoDelay(true)
    // one command after the other, as on a real connection
    let last: Promise<void> = Promise.resolve()
    socket.on(
      "data",
      framer((message) => {
        const request = parse(message)
        last = last.then(() => answer(request, socket))
      })
    )
    socket.on("error", () => socket.destroy())
    socket.on("close", () => sockets.delete(socket))
  }

  let server: Server | undefined
  const cut = (): void => {
    // reset, not closed: the driver's monitor hangs when it writes to a connection that is just being closed, and unlike
    // with a real server it does write, because the fixture does not stream its state
    for (const socket of sockets) socket.resetAndDestroy()
  }
  const start = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const listening = createServer(connected)
      server = listening
      listening.once("error", reject)
      listening.listen(port, "127.0.0.1", () => {
        const address = listening.address()
        if (typeof address === "object" && address !== null) port = address.port
        resolve()
      })
    })
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      cut()
      if (server === undefined) resolve()
      else server.close(() => resolve())
    })

  await start()
  const fixture: Fixture = {
    url: `mongodb://127.0.0.1:${port}/dbjobq_test`,
    onCommand: () => {},
    faults,
    cut,
    stop,
    start
  }
  return fixture
}
