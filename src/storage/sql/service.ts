import type * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import { InvalidOption, StorageError } from "../../JobError.js"
import { JobStorage, Transactional } from "../../JobStorage.js"
import * as Hear from "../../internal/hear.js"
import * as Hints from "../../internal/hints.js"
import { identity } from "effect/Function"
import * as Holding from "./holding.js"
import * as AfterCommit from "./afterCommit.js"
import { claim } from "./claim.js"
import { look, promote } from "./promote.js"
import type { Dialect } from "./db.js"
import * as Db from "./db.js"
import type { Deadline } from "./deadline.js"
import { elsewhere } from "./elsewhere.js"
import { fire } from "./fire.js"
import * as Turns from "../../internal/turns.js"
import * as GroupCommit from "../../internal/groupCommit.js"
import { insert, writesOf } from "./insert.js"
import * as InsertAtOnce from "./insertAtOnce.js"
import * as Migrations from "./migrations.js"
import * as Mysql from "./mysql.js"
import { checkServer, checkTables } from "./mysqlServer.js"
import * as Operate from "./operate.js"
import { detached, exclusive, shared } from "./ownership.js"
import * as Read from "./read.js"
import { progress, renew } from "./renew.js"
import * as Schedules from "./schedules.js"
import { settle } from "./settle.js"
import type { WriteAll } from "./sqliteDriver.js"
import { prune, sweep } from "./sweep.js"
import type { Listen } from "./wakeups.js"
import { wakeups } from "./wakeups.js"

export interface MakeOptions {
  readonly sql: SqlClient.SqlClient
  readonly migrate?: boolean | undefined
  readonly clock?: "store" | "effect" | undefined
  readonly schema?: string | undefined
  readonly listen?: Listen | undefined
  readonly durable?: boolean | undefined
  readonly groupCommit?: boolean | undefined
  /** The client was made for this storage, and is given to the application from here. */
  readonly exclusive?: boolean | undefined
  /** SQLite in a file only: signs that some process writes to it. */
  readonly changes?: Stream.Stream<void> | undefined
  /** How long each statement of the storage may take; its migration may take longer. */
  readonly deadline?: Deadline | undefined
  /** SQLite only: the way past the client. */
  readonly writeAll?: WriteAll | undefined
}

export const checkSchema = (schema: string | undefined): InvalidOption | undefined =>
  schema === undefined || /^[A-Za-z_][A-Za-z0-9_]{0,47}$/.test(schema)
    ? undefined
    : new InvalidOption({ field: "schema", rule: "must be 1 to 48 of A-Z a-z 0-9 _ and not begin with a digit" })

const unsupported = Effect.fail(
  new StorageError({
    operation: "open",
    message: "the client's dialect is not supported; use sqlite, pg or mysql",
    isTransient: false
  })
)

const dialectOf = (sql: SqlClient.SqlClient): Effect.Effect<Dialect, StorageError> =>
  sql.onDialectOrElse({
    pg: (): Effect.Effect<Dialect, StorageError> => Effect.succeed("pg"),
    sqlite: () => Effect.succeed("sqlite" as const),
    mysql: () => Effect.succeed("mysql" as const),
    orElse: () => unsupported
  })

/** The storage on any client of a known dialect. */
export const make = (options: MakeOptions): Effect.Effect<Context.Context<JobStorage | Transactional>, StorageError> =>
  Effect.gen(function* () {
    const dialect = yield* dialectOf(options.sql)
    const ownership =
      options.exclusive === true
        ? exclusive(options.sql, dialect === "mysql" ? AfterCommit.collect : identity)
        : yield* shared(options.sql)
    // MySQL tells no other process, but workers on this very storage need not wait for their next poll
    const hints = Hints.make()
    const statements = dialect === "sqlite" && options.exclusive !== true ? yield* Holding.make(options.sql) : undefined
    const within = (deadline: Deadline | undefined) =>
      Db.make({
        sql: options.sql,
        tell: hints.tell,
        dialect,
        storeClock: dialect !== "sqlite" && options.clock !== "effect",
        schema: dialect === "pg" ? options.schema : undefined,
        ownership,
        statements,
        deadline
      })
    const db = within(options.deadline)
    if (dialect === "mysql") yield* detached(checkServer(db))
    yield* detached(options.migrate === false ? Migrations.check(db) : Migrations.run(within(undefined)))
    if (dialect === "mysql") yield* detached(checkTables(db))
    const turns = dialect === "pg" ? Turns.make({ claim: claim(db), promote: promote(db), look: look(db) }) : undefined
    const split: typeof Mysql.split = dialect === "mysql" ? Mysql.split : identity
    const grouped =
      options.groupCommit === false
        ? insert(db)
        : GroupCommit.make(insert(db), { inTransaction: ownership.inTransaction, blocking: dialect === "sqlite" })
    const service = JobStorage.of({
      capabilities: {
        storage: dialect === "pg" ? "postgres" : dialect,
        transactional: true,
        wakeups: dialect !== "pg" || options.listen !== undefined ? "hint" : "none",
        storeClock: db.storeClock,
        durable: options.durable ?? true,
        limits: {
          payloadBytes: Number.POSITIVE_INFINITY,
          resultBytes: Number.POSITIVE_INFINITY,
          atomicInsert: Number.POSITIVE_INFINITY
        }
      },
      insert:
        options.writeAll === undefined
          ? grouped
          : InsertAtOnce.make({
              writeAll: options.writeAll,
              writesOf: (jobs, now) => writesOf(db, jobs, now),
              insert: grouped,
              tell: () => hints.tell("jobs"),
              groupCommit: options.groupCommit ?? true
            }),
      claim: turns?.claim ?? claim(db),
      promote: turns?.promote ?? promote(db),
      settle: split(settle(db)),
      renew: split(renew(db)),
      progress: progress(db),
      sweep: sweep(db),
      cancel: split(Operate.cancel(db)),
      rerun: split(Operate.rerun(db)),
      reschedule: split(Operate.reschedule(db)),
      remove: split(Operate.remove(db)),
      get: split(Read.get(db)),
      list: Read.list(db),
      counts: Read.counts(db),
      pauseQueue: Operate.pauseQueue(db),
      resumeQueue: Operate.resumeQueue(db),
      pausedQueues: Operate.pausedQueues(db),
      prune: prune(db),
      putSchedules: Schedules.putSchedules(db),
      removeSchedules: Schedules.removeSchedules(db),
      enableSchedules: Schedules.enableSchedules(db),
      getSchedules: Schedules.getSchedules(db),
      listSchedules: Schedules.listSchedules(db),
      dueSchedules: Schedules.dueSchedules(db),
      fire: fire(db),
      wakeups:
        turns !== undefined
          ? wakeups(db, options.listen, turns)
          : Hear.stream(
              options.changes === undefined ? hints.hear : Hear.both(hints.hear, elsewhere(db, options.changes))
            )
    })
    const transactional = Transactional.of({
      withTransaction: db.withTransaction,
      inTransaction: ownership.inTransaction,
      detached,
      turn: dialect === "sqlite" ? yield* Effect.makeSemaphore(1) : undefined
    })
    return Context.make(JobStorage, service).pipe(Context.add(Transactional, transactional))
  })
