/** Many processes over the same schedules, some of them killed: each slot becomes one job, and every job is run. */
import type { ChildProcess } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { JobQueue, JobSchedule, Recurrence } from "dbjobq"
import { Effect, Layer, Schedule, Stream } from "effect"
import { drop } from "./process/drop.js"
import { Beat } from "./process/jobs.js"
import { sharedStorages } from "./process/shared.js"
import { spawned, temporaryDirectory } from "./process/spawned.js"
import { storage } from "./process/storage.js"

const script = new URL("./process/beat.ts", import.meta.url)

interface Load {
  readonly workers: number
  /** Each fires every second. */
  readonly schedules: number
  readonly seconds: number
  readonly killed: number
}

const until = <E, R>(what: string, done: Effect.Effect<boolean, E, R>) =>
  Effect.filterOrFail(
    done,
    (met) => met,
    () => what
  ).pipe(Effect.retry(Schedule.spaced("200 millis").pipe(Schedule.upTo("5 minutes"))))

const scenario = (label: string, load: Load, makeSpec: (dir: string) => string | Promise<string>) =>
  it.scopedLive(
    label,
    () =>
      Effect.gen(function* () {
        const { killed, schedules, seconds, workers } = load
        const names = Array.from({ length: schedules }, (_, at) => `every-second-${at}`)
        const dir = yield* temporaryDirectory
        const spec = yield* Effect.promise(async () => makeSpec(dir))
        yield* Effect.addFinalizer(() => Effect.promise(() => drop(spec)))
        const ledger = join(dir, "ledger")
        const lines = () => (existsSync(ledger) ? readFileSync(ledger, "utf8").trim().split("\n") : [])

        const body = Effect.gen(function* () {
          const children: Array<ChildProcess> = []
          for (let at = 0; at < workers; at++) children.push(yield* spawned(script, spec, ledger))
          yield* until(
            "all are ready",
            Effect.sync(() => lines().filter((line) => line === "ready").length === workers)
          )
          for (const id of names) {
            yield* JobQueue.putSchedule(
              JobSchedule.make(id, { job: Beat, recurrence: Recurrence.every("1 second"), missed: "skip" })
            )
          }
          const fired = (slots: number) =>
            until(
              `each has fired ${slots} times`,
              Effect.map(JobQueue.listSchedules({ limit: names.length }), (page) =>
                page.schedules.every((row) => row.fired >= slots)
              )
            )
          const victims = children.slice(0, killed)
          for (const [at, victim] of victims.entries()) {
            yield* fired(((at + 1) * seconds) / (killed + 1))
            victim.kill("SIGKILL")
          }
          yield* fired(seconds)
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
            assert.isAtLeast(found.length, seconds, id)
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
        yield* Effect.provide(body, JobQueue.layer.pipe(Layer.provideMerge(storage(spec))))
      }),
    900_000
  )

const few: Load = { workers: 3, schedules: 10, seconds: 6, killed: 1 }
const many: { readonly [name: string]: Load } = {
  SQLite: { workers: 4, schedules: 50, seconds: 30, killed: 2 },
  PostgreSQL: { workers: 8, schedules: 50, seconds: 30, killed: 2 }
}

const { stop, storages } = await sharedStorages()

afterAll(stop)

describe("schedules over processes", () => {
  for (const { name, spec } of storages) {
    const load = many[name] ?? few
    if (spec === undefined) it.skip(`${name}: no server`, () => {})
    else scenario(`${load.workers} on ${name}`, load, spec)
  }
})
