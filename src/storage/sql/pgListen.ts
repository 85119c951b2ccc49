/** LISTEN, on a connection of its own or by the application's client. */
import { SqlError } from "@effect/sql/SqlError"
import type { PgClient } from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { Client, type ClientConfig, escapeIdentifier } from "pg"
import type { Listen } from "./wakeups.js"

/** In a fiber that nobody waits for: the client begins and ends with statements that a dead backend never answers. */
export const onClient =
  (client: PgClient): Listen =>
  (channel, heard) =>
    Effect.forkDaemon(
      Effect.interruptible(Stream.runForEach(client.listen(channel), (payload) => Effect.sync(() => heard(payload))))
    ).pipe(
      Effect.tap((fiber) => Effect.addFinalizer(() => Fiber.interruptFork(fiber))),
      Effect.flatMap(Fiber.join)
    )

const failed = (cause: unknown) => Effect.fail(new SqlError({ cause, message: "Failed to listen" }))

/** A connection for each listening, so that one that does not answer can be dropped at once. */
export const onConnection =
  (config: ClientConfig): Listen =>
  (channel, heard) =>
    Effect.flatMap(
      Effect.acquireRelease(
        Effect.sync(() => new Client({ ...config, keepAlive: true, keepAliveInitialDelayMillis: 10_000 })),
        (client) => Effect.sync(() => client.connection.stream.destroy())
      ),
      (client) =>
        Effect.async<void, SqlError>((resume) => {
          const fail = (cause: Error) => resume(failed(cause))
          client.on("error", fail)
          client.on("end", () => resume(Effect.void))
          client.on("notification", (message) => {
            if (message.channel === channel && message.payload !== undefined) heard(message.payload)
          })
          client.connect((cause: Error | null) => {
            if (cause) fail(cause)
            else client.query(`LISTEN ${escapeIdentifier(channel)}`, (refusal) => refusal && fail(refusal))
          })
        })
    )
