import type { ChildProcess } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { JobQueue } from "dbjobq"
import { Effect, Layer, Schedule, Schema, Scope } from "effect"
import { drop } from "./process/drop.js"
import { Kill, Slow } from "./process/jobs.js"
import { sharedStorages } from "./process/shared.js"
import { exited, spawned, temporaryDirectory } from "./process/spawned.js"
import { storage } from "./process/storage.js"

const script = new URL("./process/worker.ts", import.meta.url)

const Line = Schema.parseJson(
  Schema.Struct({
    what: Schema.String,
    id: Schema.String,
    attempt: Schema.Number,
    pid: Schema.Number
  })
)

const suite = (label: string, makeSpec: (dir: string) => string | Promise<string>) => {
  const scenario = <A, E>(
    run: (tools: {
      readonly worker: Effect.Effect<ChildProcess>
      readonly ledger: (what: string) => ReadonlyArray<typeof Line.Type>
      readonly until: (what: string, done: () => boolean) => Effect.Effect<void>
    }) => Effect.Effect<A, E, JobQueue.JobQueue>
  ) =>
    Effect.gen(function* () {
      const dir = yield* temporaryDirectory
      const spec = yield* Effect.promise(async () => makeSpec(dir))
      yield* Effect.addFinalizer(() => Effect.promise(() => drop(spec)))
      const file = join(dir, "ledger")
      const ledger = (what: string) =>
        existsSync(file)
          ? readFileSync(file, "utf8")
              .trim()
              .split("\n")
              .filter((line) => line !== "")
              .map((line) => Schema.decodeSync(Line)(line))
              .filter((line) => line.what === what)
          : []
      const scope = yield* Effect.scope
      const until = (what: string, done: () => boolean) =>
        Effect.suspend(() => (done() ? Effect.void : Effect.fail(what))).pipe(
          Effect.retry(Schedule.spaced("50 millis").pipe(Schedule.upTo("90 seconds"))),
          Effect.orDie
        )
      return yield* run({
        worker: Effect.provideService(spawned(script, spec, file), Scope.Scope, scope),
        ledger,
        until
      }).pipe(Effect.provide(JobQueue.layer.pipe(Layer.provideMerge(storage(spec)))))
    })

  const state = (id: string) => Effect.map(JobQueue.get(id), (row) => row)
  const ends = (id: string, wanted: string) =>
    Effect.filterOrFail(
      state(id),
      (row) => row.state === wanted,
      (row) => `still ${row.state}`
    ).pipe(Effect.retry(Schedule.spaced("50 millis").pipe(Schedule.upTo("90 seconds"))))

  describe(label, () => {
    it.scopedLive(
      "SIGKILL mid-job: another worker runs it again within lease and sweep, the attempt counted",
      () =>
        scenario(({ ledger, until, worker }) =>
          Effect.gen(function* () {
            const id = yield* JobQueue.enqueue(Slow, { millis: 120_000, again: 0 })
            const first = yield* worker
            yield* until("first start", () => ledger("start").length === 1)
            yield* worker
            yield* until("second ready", () => ledger("ready").length === 2)
            first.kill("SIGKILL")
            const killed = Date.now()
            const row = yield* ends(id, "completed")
            assert.deepStrictEqual(
              ledger("start").map(({ attempt }) => attempt),
              [1, 2]
            )
            assert.strictEqual(row.attempt, 2)
            assert.strictEqual(row.crashes, 1)
            assert.isBelow((row.startedAt ?? 0) - killed, 1_500 + 300 + 4_000)
          })
        ),
      240_000
    )

    it.scopedLive(
      "SIGSTOP past the lease, then SIGCONT: the late settle changes nothing",
      () =>
        scenario(({ ledger, until, worker }) =>
          Effect.gen(function* () {
            const id = yield* JobQueue.enqueue(Slow, { millis: 3_000 })
            const first = yield* worker
            yield* until("first start", () => ledger("start").length === 1)
            first.kill("SIGSTOP")
            const second = yield* worker
            const row = yield* ends(id, "completed")
            assert.strictEqual(ledger("end")[0]?.pid, second.pid)
            first.kill("SIGCONT")
            yield* until("the stale one notices", () =>
              ledger("end")
                .concat(ledger("interrupted"))
                .some(({ pid }) => pid === first.pid)
            )
            yield* Effect.sleep(500)
            assert.deepStrictEqual(yield* state(id), row)
          })
        ),
      240_000
    )

    it.scopedLive(
      "SIGTERM under load: exits by the deadline, hands its leases back, uses up no attempt",
      () =>
        scenario(({ ledger, until, worker }) =>
          Effect.gen(function* () {
            const all = yield* JobQueue.enqueueAll(
              Slow,
              Array.from({ length: 40 }, () => ({ millis: 120_000 }))
            )
            const child = yield* worker
            yield* until("four running", () => ledger("start").length === 4)
            const asked = Date.now()
            child.kill("SIGTERM")
            yield* exited(child)
            assert.isBelow(Date.now() - asked, 500 + 1_000 + 5_000)
            for (const id of all) {
              const { attempt, owner, state: now } = yield* state(id)
              assert.deepStrictEqual({ attempt, owner, now }, { attempt: 0, owner: null, now: "pending" })
            }
            assert.strictEqual(ledger("interrupted").length, 4)
          })
        ),
      240_000
    )

    it.scopedLive(
      "a job that kills its process is dead after three crashes",
      () =>
        scenario(({ ledger, worker }) =>
          Effect.gen(function* () {
            const id = yield* JobQueue.enqueue(Kill)
            for (let crash = 0; crash < 3; crash++) yield* exited(yield* worker)
            yield* worker
            const row = yield* ends(id, "failed")
            assert.strictEqual(ledger("start").length, 3)
            assert.include(row.failure ?? "", "crashed")
          })
        ),
      240_000
    )
  })
}

const { stop, storages } = await sharedStorages()

afterAll(stop)

for (const { name, spec } of storages) {
  if (spec === undefined) describe.skip(`processes on ${name}: no server`, () => {})
  else suite(`processes on ${name}`, spec)
}
