/** Many processes over the same schedules, two of them killed: each slot becomes one job, and every job is run. */
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { SqlClient } from "@effect/sql"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { JobQueue, JobSchedule, Recurrence } from "dbjobq"
import { Effect, Layer, Schedule, Stream } from "effect"
import { Beat } from "./process/jobs.js"
import { storage } from "./process/storage.js"
import { postgres, randomSchema } from "./storage/servers.js"

const script = new URL("./process/beat.ts", import.meta.url).pathname
const seconds = 30
const names = Array.from({ length: 50 }, (_, at) => `every-second-${at}`)

const process_ = (spec: string, ledger: string) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, ["--import", "tsx", script, spec, ledger], { stdio: ["ignore", "ignore", "inherit"] })
    ),
    (child) =>
      Effect.async<void>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
        child.kill("SIGKILL")
      })
  )

const until = <E, R>(what: string, done: Effect.Effect<boolean, E, R>) =>
  Effect.filterOrFail(
    done,
    (met) => met,
    () => what
  ).pipe(Effect.retry(Schedule.spaced("200 millis").pipe(Schedule.upTo("5 minutes"))))

const scenario = (label: string, workers: number, makeSpec: (dir: string) => string) =>
  it.scopedLive(
    label,
    () =>
      Effect.gen(function* () {
        const dir = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "dbjobq-schedules-"))),
          (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
        )
        const spec = makeSpec(dir)
        const ledger = join(dir, "ledger")
        const lines = () => (existsSync(ledger) ? readFileSync(ledger, "utf8").trim().split("\n") : [])
        const drop = spec.startsWith("pg:")
          ? Effect.flatMap(SqlClient.SqlClient, (sql) => sql`DROP SCHEMA ${sql(spec.split(":")[1] ?? "")} CASCADE`)
          : Effect.void

        const body = Effect.gen(function* () {
          const children: Array<ChildProcess> = []
          for (let at = 0; at < workers; at++) children.push(yield* process_(spec, ledger))
          yield* until(
            "all are ready",
            Effect.sync(() => lines().filter((line) => line === "ready").length === workers)
          )
          for (const id of names) {
            yield* JobQueue.putSchedule(
              JobSchedule.make(id, { job: Beat, recurrence: Recurrence.every("1 second"), missed: "skip" })
            )
          }
          for (const victim of children.slice(0, 2)) {
            yield* Effect.sleep(`${seconds / 3} seconds`)
            victim.kill("SIGKILL")
          }
          yield* Effect.sleep(`${seconds / 3} seconds`)
          yield* Effect.forEach(names, (id) => JobQueue.disableSchedule(id), { discard: true })
          // what the killed ones held is run by the others
          yield* until(
            "all jobs are done",
            Effect.map(JobQueue.counts, (counts) => counts.every(({ state }) => state === "completed"))
          )

          const slots = new Map<string, Array<number>>(names.map((id) => [id, []]))
          yield* Stream.runForEach(JobQueue.stream(), (row) =>
            Effect.sync(() => slots.get(row.scheduleId ?? "")?.push(row.slot ?? 0))
          )
          const ran = new Set(lines().map((line) => line.split(" ").slice(0, 2).join(" ")))
          for (const id of names) {
            const row = yield* JobQueue.getSchedule(id)
            const found = (slots.get(id) ?? []).sort((a, b) => a - b)
            const [first = 0] = found
            assert.isAtLeast(found.length, seconds - 1, id)
            assert.deepStrictEqual(
              found,
              found.map((_, at) => first + at * 1_000),
              `${id}: none missing, none twice`
            )
            assert.deepInclude(row, { fired: found.length, skipped: 0, lastSlot: found[found.length - 1] ?? null })
            assert.isTrue(
              found.every((slot) => ran.has(`${id} ${slot}`)),
              `${id}: every job was run`
            )
          }
        })
        yield* body.pipe(
          Effect.ensuring(Effect.orDie(drop)),
          Effect.provide(JobQueue.layer.pipe(Layer.provideMerge(storage(spec))))
        )
      }),
    900_000
  )

describe("schedules over processes", () => {
  scenario("4 on one SQLite file", 4, (dir) => `sqlite:${join(dir, "jobs.db")}`)
})

const server = await postgres()
if (server === undefined) describe.skip("schedules over processes on PostgreSQL: no server", () => {})
else {
  afterAll(server.stop)
  describe("schedules over processes", () => {
    scenario("8 on PostgreSQL", 8, () => `pg:${randomSchema()}:${server.url}`)
  })
}
