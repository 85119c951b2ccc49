import { createServer } from "node:http"
import { inspect } from "node:util"
import { CreateTableCommand, DynamoDBClient } from "@aws-sdk/client-dynamodb"
import { afterAll, assert, describe, it } from "@effect/vitest"
import dynalite from "dynalite"
import {
  Clock,
  Config,
  ConfigProvider,
  Context,
  Deferred,
  Duration,
  Effect,
  Fiber,
  Layer,
  Redacted,
  Runtime,
  Schedule
} from "effect"
import type { StorageError } from "../../src/JobError.js"
import type { Fire, JobRow, Service } from "../../src/JobStorage.js"
import { JobStorage } from "../../src/JobStorage.js"
import * as DynamoStorage from "../../src/storage/DynamoStorage.js"
import { storageContract } from "../../src/testing/contract.js"
import { storageModel } from "../../src/testing/model.js"
import { type Fault, faultyClient, type Request } from "./dynamoFaults.js"
import { dynamo, urlOf } from "./dynamoServer.js"
import { job, schedule } from "./jobs.js"

const server = await dynamo()
const client = new DynamoDBClient({ ...server.config, maxAttempts: 3 })
const clients = [client]

afterAll(async () => {
  for (const one of clients) one.destroy()
  await server.stop()
})

const faulty = (fault: (request: Request) => Fault | undefined, maxAttempts = 10) => {
  const made = faultyClient({ ...server.config, maxAttempts }, fault)
  clients.push(made)
  return made
}

// one clock judges everything here, so a lease may end the moment it is over
const layer = (options: DynamoStorage.ClientOptions = {}, on = client) =>
  DynamoStorage.layerClient(on, { table: server.freshTable(), shards: 2, clockSkew: 0, ...options })

/** A process of its own on this table. */
const open = (table: string, options: DynamoStorage.ClientOptions = {}, on = client) =>
  Effect.map(Layer.build(layer({ table, ...options }, on)), Context.get(JobStorage))

storageContract("DynamoStorage", layer(), { timeout: 240_000 })
storageModel("DynamoStorage", layer(), { numRuns: 12, timeout: 240_000 })

let turn = 0
const flaky = faulty(({ command, n }) => {
  if (command.startsWith("Batch") && n % 5 === 0) return "unprocessed"
  if (command === "DescribeTable" || command === "CreateTable") return undefined
  turn++
  return turn % 97 === 0 ? "throttled" : turn % 11 === 0 ? "lost" : undefined
})
storageModel("DynamoStorage, replies lost, throttled, half done", layer({}, flaky), { numRuns: 6, timeout: 240_000 })

const hour = 3_600_000

/** Runs as on a machine whose clock is ahead by so much. */
const ahead = (millis: number) => {
  const real = Clock.make()
  const now = () => real.unsafeCurrentTimeMillis() + millis
  return Effect.withClock({
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: now,
    currentTimeMillis: Effect.sync(now),
    unsafeCurrentTimeNanos: () => real.unsafeCurrentTimeNanos(),
    currentTimeNanos: real.currentTimeNanos,
    sleep: (duration) => real.sleep(duration)
  })
}

const request = { limit: 100, crashLimit: 100, crashFailure: "{}", retention: {} }

const claim = (storage: Service, limit: number, lease = hour) =>
  storage.claim({ names: ["mail"], limit, owner: "w", lease })

const all = (storage: Service): Effect.Effect<ReadonlyArray<JobRow>, StorageError> =>
  storage.list({ filter: {}, limit: 10_000 })

const isUnfinished = (row: JobRow) => ["scheduled", "pending", "running"].includes(row.state)

const slot = 1_700_000_000_000

const due = (id: string) => schedule({ id, queue: id, enabled: true, next: slot })

const fireOf = (id: string, uniqueKey: string | null = null): Fire => ({
  schedule: id,
  version: 1,
  slot,
  next: slot + 60_000,
  jobs: [job({ id: `${id}-${slot}`, queue: id, due: { runAt: slot }, scheduleId: id, slot, uniqueKey })],
  skipped: 0,
  overlap: "allow",
  disable: null
})

/** Any process may tidy up what one that died has left; a minute later it does. */
const tidy = (storage: Service) => ahead(60_000)(storage.sweep(request))

describe("DynamoStorage: faults", () => {
  it.scopedLive(
    "stale indexes, lost replies, throttling: no hold is given twice, no job is lost, no key is held twice",
    () =>
      Effect.gen(function* () {
        const table = server.freshTable()
        let at = 0
        const trouble = ({ command }: Request): Fault | undefined => {
          if (command === "DescribeTable" || command === "CreateTable") return undefined
          at++
          if (command === "Query" && at % 3 !== 0) return "stale"
          return at % 101 === 0 ? "throttled" : at % 13 === 0 ? "lost" : at % 7 === 0 ? "unprocessed" : undefined
        }
        const truth = yield* open(table)
        const processes = yield* Effect.forEach([1, 2, 3], () => open(table, { clockSkew: 100 }, faulty(trouble, 2)))
        const patient = <A>(effect: Effect.Effect<A, StorageError>) =>
          Effect.retry(effect, { while: (error) => error.isTransient, schedule: Schedule.recurs(50) })

        const holds = new Set<string>()
        const completed: Array<string> = []
        const worker = (storage: Service, which: number) =>
          Effect.forever(
            Effect.gen(function* () {
              const jobs = yield* patient(claim(storage, 4, 600))
              for (const { attempt, id, token } of jobs) {
                assert.isFalse(holds.has(`${id} ${token}`), "one hold for each token")
                holds.add(`${id} ${token}`)
                // some vanish, some fail, the rest complete
                if ((attempt + which) % 4 === 0) continue
                const [accepted] = yield* patient(
                  storage.settle([
                    (attempt + which) % 3 === 0
                      ? { id, token, to: "retry", delay: 0, failure: "{}" }
                      : { id, token, to: "complete", result: "1" }
                  ])
                )
                if (accepted === true && (attempt + which) % 3 !== 0) completed.push(id)
              }
              yield* patient(storage.promote(50))
              yield* patient(storage.sweep(request))
            })
          )
        const rows = Array.from({ length: 45 }, (_, n) =>
          job({ maxAttempts: 1_000, uniqueKey: n % 3 === 0 ? `k${n % 4}` : null, priority: n % 2 })
        )
        const [first, second, third] = processes
        assert(first !== undefined && second !== undefined && third !== undefined)
        const answers = (yield* Effect.forEach(
          processes,
          // each process tries to insert every job: a repeat adds nothing
          (storage) => Effect.forEach(rows, (row) => patient(storage.insert([row])), { concurrency: 4 }),
          { concurrency: 3 }
        )).flat(2)
        const made = yield* all(truth)
        const keys = made.filter(isUnfinished).flatMap((row) => row.uniqueKey ?? [])
        assert.strictEqual(new Set(keys).size, keys.length, "one unfinished job for each key")
        assert.sameMembers(keys, ["k0", "k1", "k2", "k3"])
        assert.isTrue(answers.every(({ id }) => made.some((row) => row.id === id)))
        assert.strictEqual(made.length, 30 + 4)

        const workers = yield* Effect.forkAll(processes.map(worker))
        yield* Effect.raceFirst(
          Fiber.join(workers),
          Effect.repeat(all(truth), {
            until: (now) => now.every((row) => row.state === "completed"),
            schedule: Schedule.spaced(200)
          })
        )
        yield* Fiber.interrupt(workers)
        assert.strictEqual((yield* all(truth)).length, 34)
        assert.strictEqual(new Set(completed).size, completed.length, "each was completed by one hold")
        // every key is free again
        const again = yield* truth.insert(keys.map((uniqueKey) => job({ uniqueKey })))
        assert.isTrue(again.every((answer) => answer.created))
      }),
    120_000
  )

  /**
   * Runs `operation` in processes that die at ever later requests, until one lives. The last request is either never
   * sent, or it is and no answer is heard. `check` sees what was left behind; answers how many died.
   */
  const everyCrash = <A>(scenario: {
    readonly prepare: (storage: Service, round: string) => Effect.Effect<A, StorageError>
    readonly operation: (storage: Service, prepared: A) => Effect.Effect<unknown, StorageError>
    readonly check: (storage: Service, prepared: A) => Effect.Effect<void, StorageError>
  }) =>
    Effect.gen(function* () {
      const table = server.freshTable()
      const truth = yield* open(table)
      let deaths = 0
      for (const sent of [false, true]) {
        for (let last = 1; ; last++) {
          const prepared = yield* scenario.prepare(truth, `${last}-${sent}`)
          let armed = false
          let before = 0
          const dying = yield* open(
            table,
            {},
            faulty(({ n }) => {
              if (!armed) before = n
              else if (sent && n === before + last) return "lost"
              else if (n === before + last + (sent ? 1 : 0)) return "dead"
              return undefined
            })
          )
          armed = true
          const exit = yield* Effect.exit(scenario.operation(dying, prepared))
          yield* scenario.check(truth, prepared)
          if (exit._tag === "Success") break
          deaths++
        }
      }
      return deaths
    })

  const unfinishedOf = (storage: Service, uniqueKey: string | null) =>
    Effect.map(all(storage), (rows) => rows.filter((row) => row.uniqueKey === uniqueKey && isUnfinished(row)))

  it.scopedLive(
    "a unique insert that dies anywhere: repeated, it makes the job, once",
    () =>
      Effect.gen(function* () {
        const deaths = yield* everyCrash({
          prepare: (_, round) => Effect.succeed(job({ uniqueKey: round, queue: round })),
          operation: (storage, one) => storage.insert([one]),
          check: (storage, one) =>
            Effect.gen(function* () {
              assert.isAtMost((yield* unfinishedOf(storage, one.uniqueKey)).length, 1)
              const [answer] = yield* storage.insert([one])
              assert.deepInclude(answer, { id: one.id, answer: "inserted" })
              yield* tidy(storage)
              assert.strictEqual((yield* unfinishedOf(storage, one.uniqueKey)).length, 1)
            })
        })
        assert.isAtLeast(deaths, 7)
      }),
    60_000
  )

  it.scopedLive(
    "a unique insert that dies anywhere: another job can take the key, and there is one of the two",
    () =>
      Effect.gen(function* () {
        const deaths = yield* everyCrash({
          prepare: (_, round) => Effect.succeed(job({ uniqueKey: round, queue: round })),
          operation: (storage, one) => storage.insert([one]),
          check: (storage, one) =>
            Effect.gen(function* () {
              const other = job({ uniqueKey: one.uniqueKey })
              const [answer] = yield* storage.insert([other])
              const [holder] = yield* unfinishedOf(storage, one.uniqueKey)
              assert.strictEqual(answer?.id, holder?.id)
              const [again] = yield* storage.insert([one])
              assert.strictEqual(again?.id, holder?.id)
              yield* tidy(storage)
              assert.strictEqual((yield* unfinishedOf(storage, one.uniqueKey)).length, 1)
            })
        })
        assert.isAtLeast(deaths, 7)
      }),
    60_000
  )

  it.scopedLive(
    "a settle that dies anywhere: repeated, it is accepted, and the key is free",
    () =>
      Effect.gen(function* () {
        const deaths = yield* everyCrash({
          prepare: (storage, round) =>
            Effect.gen(function* () {
              const one = job({ uniqueKey: round, queue: round })
              yield* storage.insert([one])
              const [held] = yield* storage.claim({
                names: ["mail"],
                queues: [round],
                limit: 1,
                owner: "w",
                lease: hour
              })
              assert(held !== undefined)
              return { id: held.id, token: held.token, round }
            }),
          operation: (storage, { id, token }) => storage.settle([{ id, token, to: "complete", result: "1" }]),
          check: (storage, { id, round, token }) =>
            Effect.gen(function* () {
              assert.deepStrictEqual(yield* storage.settle([{ id, token, to: "complete", result: "1" }]), [true])
              const [answer] = yield* storage.insert([job({ uniqueKey: round })])
              assert.deepInclude(answer, { answer: "inserted", created: true })
            })
        })
        assert.isAtLeast(deaths, 5)
      }),
    60_000
  )

  it.scopedLive(
    "a rerun that dies anywhere leaves the key to one job",
    () =>
      Effect.gen(function* () {
        const deaths = yield* everyCrash({
          prepare: (storage, round) =>
            Effect.gen(function* () {
              const one = job({ uniqueKey: round })
              yield* storage.insert([one])
              yield* storage.cancel([one.id])
              return one
            }),
          operation: (storage, one) => storage.rerun([one.id]),
          check: (storage, one) =>
            Effect.gen(function* () {
              yield* storage.insert([job({ uniqueKey: one.uniqueKey })])
              const [answer] = yield* storage.rerun([one.id])
              assert.include(["unfinished", "duplicate"], answer)
              assert.strictEqual((yield* unfinishedOf(storage, one.uniqueKey)).length, 1)
            })
        })
        assert.isAtLeast(deaths, 5)
      }),
    60_000
  )

  for (const uniqueKey of [null, "key"]) {
    it.scopedLive(
      `a fire that dies anywhere: the cursor and the job move together${uniqueKey === null ? "" : ", unique"}`,
      () =>
        Effect.gen(function* () {
          const deaths = yield* everyCrash({
            prepare: (storage, round) =>
              Effect.gen(function* () {
                const id = `s-${round}`
                yield* storage.putSchedules([due(id)])
                return fireOf(id, uniqueKey === null ? null : id)
              }),
            operation: (storage, fire) => storage.fire([fire]),
            check: (storage, fire) =>
              Effect.gen(function* () {
                const jobs = Effect.map(all(storage), (rows) =>
                  rows.filter((row) => row.scheduleId === fire.schedule && row.state === "pending")
                )
                const cursor = Effect.map(storage.getSchedules([fire.schedule]), ([row]) => row?.next)
                if ((yield* cursor) === slot) assert.deepStrictEqual(yield* jobs, [])
                else {
                  // whoever tidies up finishes what the cursor has committed
                  yield* tidy(storage)
                  assert.strictEqual((yield* jobs).length, 1)
                }
                yield* storage.fire([fire])
                assert.strictEqual(yield* cursor, fire.next)
                yield* tidy(storage)
                const [row] = yield* storage.getSchedules([fire.schedule])
                assert(row !== undefined)
                assert.deepInclude(row, { fired: 1, skipped: 0, lastSlot: slot, lastJob: fire.jobs[0]?.id ?? null })
                assert.strictEqual((yield* jobs).length, 1)
                assert.deepStrictEqual(yield* storage.fire([fire]), [{ answer: "stale" }])
              })
          })
          assert.isAtLeast(deaths, 9)
        }),
      60_000
    )
  }

  it.scopedLive("every write is done, its reply lost, and sent again: the answers are as if nothing had happened", () =>
    Effect.gen(function* () {
      const heard = new Set<number>()
      let again = false
      const storage = yield* open(
        server.freshTable(),
        {},
        faulty(({ command, n }) => {
          if (!/^(Put|Update|Delete)Item$/.test(command) || heard.has(n)) return undefined
          heard.add(n)
          again = !again
          return again ? "lost" : undefined
        })
      )
      const [one, unique] = [job(), job({ uniqueKey: "k" })]
      assert.deepStrictEqual(
        yield* storage.insert([one, unique]),
        [one, unique].map(({ id }) => ({ id, answer: "inserted", created: true }))
      )
      const [held, ...rest] = yield* claim(storage, 1)
      assert(held !== undefined && rest.length === 0)
      assert.deepStrictEqual(yield* storage.renew([held], hour), ["held"])
      assert.isTrue(yield* storage.progress(held, 0.5, null))
      assert.deepStrictEqual(yield* storage.settle([{ id: held.id, token: held.token, to: "complete", result: "1" }]), [
        true
      ])
      assert.deepStrictEqual(yield* storage.rerun([held.id]), ["rerun"])
      assert.strictEqual((yield* claim(storage, 10)).length, 2)
      assert.deepStrictEqual(yield* storage.cancel([held.id]), ["requested"])
      assert.deepInclude(yield* ahead(2 * hour)(storage.sweep(request)), { rescued: 1, ended: 1 })
      assert.deepStrictEqual(yield* storage.remove([one.id, unique.id]), ["removed", "removed"])
      const [put] = yield* storage.putSchedules([due("s")])
      assert.deepInclude(put ?? {}, { version: 1, next: slot })
      assert.deepStrictEqual(yield* storage.fire([fireOf("s", "k")]), [{ answer: "fired", jobs: 1 }])
      assert.deepStrictEqual(yield* storage.removeSchedules(["s"]), [true])
      assert.strictEqual((yield* claim(storage, 10)).length, 1)
    })
  )

  it.scopedLive("a fire that was only begun when its schedule was disabled leaves nothing", () =>
    Effect.gen(function* () {
      const table = server.freshTable()
      const truth = yield* open(table)
      yield* truth.putSchedules([due("s")])
      let armed = false
      const slow = yield* open(
        table,
        {},
        faulty(({ command }) => (armed && command === "UpdateItem" ? "dead" : undefined))
      )
      armed = true
      const fire = fireOf("s")
      yield* Effect.flip(slow.fire([fire]))
      yield* truth.enableSchedules([{ id: "s", enabled: false, next: null }])
      assert.deepStrictEqual(yield* truth.fire([fire]), [{ answer: "stale" }])
      assert.deepStrictEqual(yield* truth.get([`s-${slot}`]), [])
      yield* tidy(truth)
      assert.deepStrictEqual(yield* all(truth), [])
      // the id is free: nothing invisible is left of it
      assert.isTrue((yield* truth.insert([job({ id: `s-${slot}` })]))[0]?.created)
    })
  )
})

describe("DynamoStorage: slow writers", () => {
  /** A process whose next update of an item waits until it is let go. */
  const slowly = (table: string) =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const reached = yield* Deferred.make<void>()
      const runtime = yield* Effect.runtime()
      let armed = false
      const storage = yield* open(
        table,
        {},
        faulty(({ command }) => {
          if (!armed || command !== "UpdateItem") return undefined
          armed = false
          return Runtime.runPromise(runtime)(
            Effect.zipRight(Deferred.succeed(reached, undefined), Deferred.await(gate))
          )
        })
      )
      return {
        /** Begins; answers once the update is about to be sent. */
        begin: <A>(operation: (storage: Service) => Effect.Effect<A, StorageError>) =>
          Effect.gen(function* () {
            armed = true
            const fiber = yield* Effect.fork(operation(storage))
            yield* Deferred.await(reached)
            return fiber
          }),
        letGo: Deferred.succeed(gate, undefined)
      }
    })

  const holders = (storage: Service) =>
    Effect.map(all(storage), (rows) => rows.filter(isUnfinished).map((row) => row.id))

  it.scopedLive("an insert that sleeps before its last step has lost its key, and says so", () =>
    Effect.gen(function* () {
      const table = server.freshTable()
      const truth = yield* open(table)
      const slow = yield* slowly(table)
      const [one, other] = [job({ uniqueKey: "k" }), job({ uniqueKey: "k" })]
      const fiber = yield* slow.begin((storage) => storage.insert([one]))
      assert.deepStrictEqual(yield* truth.insert([other]), [{ id: other.id, answer: "inserted", created: true }])
      yield* slow.letGo
      assert.deepStrictEqual(yield* Fiber.join(fiber), [{ id: other.id, answer: "duplicate", created: false }])
      assert.deepStrictEqual(yield* holders(truth), [other.id])
    })
  )

  it.scopedLive("a rerun that sleeps before its last step has lost its key, and says so", () =>
    Effect.gen(function* () {
      const table = server.freshTable()
      const truth = yield* open(table)
      const slow = yield* slowly(table)
      const [one, other] = [job({ uniqueKey: "k" }), job({ uniqueKey: "k" })]
      yield* truth.insert([one])
      yield* truth.cancel([one.id])
      const fiber = yield* slow.begin((storage) => storage.rerun([one.id]))
      assert.deepStrictEqual(yield* truth.insert([other]), [{ id: other.id, answer: "inserted", created: true }])
      yield* slow.letGo
      assert.deepStrictEqual(yield* Fiber.join(fiber), ["duplicate"])
      assert.deepStrictEqual(yield* holders(truth), [other.id])
    })
  )

  it.scopedLive("a late release does not take the key from a rerun of the same job", () =>
    Effect.gen(function* () {
      const table = server.freshTable()
      const truth = yield* open(table)
      const gate = yield* Deferred.make<void>()
      const reached = yield* Deferred.make<void>()
      const runtime = yield* Effect.runtime()
      const slow = yield* open(
        table,
        {},
        faulty(({ command }) =>
          command === "DeleteItem"
            ? Runtime.runPromise(runtime)(Effect.zipRight(Deferred.succeed(reached, undefined), Deferred.await(gate)))
            : undefined
        )
      )
      const one = job({ uniqueKey: "k" })
      yield* truth.insert([one])
      const fiber = yield* Effect.fork(slow.cancel([one.id]))
      yield* Deferred.await(reached)
      assert.deepStrictEqual(yield* truth.rerun([one.id]), ["rerun"])
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(yield* Fiber.join(fiber), ["cancelled"])
      const [answer] = yield* truth.insert([job({ uniqueKey: "k" })])
      assert.deepStrictEqual(answer, { id: one.id, answer: "duplicate", created: false })
    })
  )

  it.scopedLive("a claim that sleeps before its write loses to a cancellation", () =>
    Effect.gen(function* () {
      const table = server.freshTable()
      const truth = yield* open(table)
      const slow = yield* slowly(table)
      const one = job()
      yield* truth.insert([one])
      const fiber = yield* slow.begin((storage) => claim(storage, 1))
      assert.deepStrictEqual(yield* truth.cancel([one.id]), ["cancelled"])
      yield* slow.letGo
      assert.deepStrictEqual(yield* Fiber.join(fiber), [])
      assert.strictEqual((yield* truth.get([one.id]))[0]?.state, "cancelled")
    })
  )

  it.scopedLive("a rescue that sleeps before its write loses to a renewal", () =>
    Effect.gen(function* () {
      const table = server.freshTable()
      const truth = yield* open(table)
      const slow = yield* slowly(table)
      yield* truth.insert([job()])
      const [held] = yield* claim(truth, 1, 1)
      assert(held !== undefined)
      yield* Effect.sleep(10)
      const fiber = yield* slow.begin((storage) => storage.sweep(request))
      assert.deepStrictEqual(yield* truth.renew([held], hour), ["held"])
      yield* slow.letGo
      assert.deepInclude(yield* Fiber.join(fiber), { rescued: 0, ended: 0 })
      assert.deepStrictEqual(yield* truth.renew([held], hour), ["held"])
    })
  )

  it.scopedLive("a fire that sleeps through the tidying of its draft writes it again", () =>
    Effect.gen(function* () {
      const table = server.freshTable()
      const truth = yield* open(table)
      const slow = yield* slowly(table)
      yield* truth.putSchedules([due("s")])
      const fire = fireOf("s")
      const fiber = yield* slow.begin((storage) => storage.fire([fire]))
      yield* tidy(truth)
      yield* slow.letGo
      assert.deepStrictEqual(yield* Fiber.join(fiber), [{ answer: "fired", jobs: 1 }])
      assert.deepStrictEqual(yield* holders(truth), [fire.jobs[0]?.id])
    })
  )

  it.scopedLive("a fire that sleeps until its job has run and is pruned brings nothing back", () =>
    Effect.gen(function* () {
      const table = server.freshTable()
      const truth = yield* open(table)
      const slow = yield* slowly(table)
      yield* truth.putSchedules([due("s")])
      const fire = fireOf("s")
      const fiber = yield* slow.begin((storage) => storage.fire([fire]))
      assert.deepStrictEqual(yield* truth.fire([fire]), [{ answer: "fired", jobs: 1 }])
      const [held] = yield* claim(truth, 1)
      assert(held !== undefined)
      yield* truth.settle([{ id: held.id, token: held.token, to: "complete", result: null }])
      yield* truth.remove([held.id])
      yield* slow.letGo
      assert.deepStrictEqual(yield* Fiber.join(fiber), [{ answer: "stale" }])
      yield* tidy(truth)
      assert.deepStrictEqual(yield* all(truth), [])
    })
  )

  it.scopedLive("an interrupted claim hands back what it has taken", () =>
    Effect.gen(function* () {
      const table = server.freshTable()
      const truth = yield* open(table)
      const slow = yield* slowly(table)
      yield* truth.insert([job(), job(), job()])
      const fiber = yield* slow.begin((storage) => claim(storage, 3))
      const interruption = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* slow.letGo
      yield* Fiber.join(interruption)
      const rows = yield* all(truth)
      assert.deepStrictEqual(
        rows.map(({ attempt, state }) => [attempt, state]),
        Array.from({ length: 3 }, () => [0, "pending"])
      )
    })
  )
})

describe("DynamoStorage: clocks", () => {
  it.scopedLive("a sweeper whose clock is an hour ahead takes nothing from a holder that renews", () =>
    Effect.gen(function* () {
      const table = server.freshTable()
      const holder = yield* open(table)
      const sweeper = yield* open(table, { clockSkew: 400 })
      yield* holder.insert([job()])
      const [held] = yield* claim(holder, 1, 300)
      assert(held !== undefined)
      const sweep = ahead(hour)(sweeper.sweep(request))
      for (let round = 0; round < 12; round++) {
        assert.deepStrictEqual(yield* holder.renew([held], 300), ["held"])
        assert.deepInclude(yield* sweep, { rescued: 0, ended: 0 })
        yield* Effect.sleep(80)
      }
      // it falls silent
      yield* Effect.repeat(sweep, { until: ({ rescued }) => rescued === 1, schedule: Schedule.spaced(50) }).pipe(
        Effect.timeout(3_000)
      )
      assert.deepStrictEqual(yield* holder.renew([held], 300), ["lost"])
    })
  )

  it.scopedLive("a lease ends clockSkew after it has been seen to be over, not before", () =>
    Effect.gen(function* () {
      const storage = yield* open(server.freshTable(), { clockSkew: 500 })
      yield* storage.insert([job()])
      yield* claim(storage, 1, 50)
      yield* Effect.sleep(60)
      const [, rescued] = yield* Effect.timed(storage.sweep(request))
      assert.strictEqual(rescued.rescued, 0)
      const [waited] = yield* Effect.timed(
        Effect.repeat(storage.sweep(request), {
          until: (swept) => swept.rescued === 1,
          schedule: Schedule.spaced(20)
        }).pipe(Effect.timeout(5_000))
      )
      assert.isAtLeast(Duration.toMillis(waited), 400)
    })
  )
})

describe("DynamoStorage: processes on one table", () => {
  it.scopedLive(
    "claimers that do not know of each other take each job once, and all of them",
    () =>
      Effect.gen(function* () {
        const table = server.freshTable()
        const processes = yield* Effect.forEach([1, 2, 3, 4], () => open(table))
        yield* processes[0]?.insert(Array.from({ length: 120 }, () => job())) ?? Effect.void
        const taken = yield* Effect.forEach(
          processes,
          (storage) =>
            Effect.gen(function* () {
              const own: Array<string> = []
              for (let empty = 0; empty < 3; ) {
                const rows = yield* claim(storage, 10)
                own.push(...rows.map((row) => row.id))
                if (rows.length === 0) empty++
              }
              return own
            }),
          { concurrency: 4 }
        )
        assert.strictEqual(taken.flat().length, 120)
        assert.strictEqual(new Set(taken.flat()).size, 120)
      }),
    60_000
  )

  it.scopedLive("another number of shards is seen by who has fewer", () =>
    Effect.gen(function* () {
      const table = server.freshTable()
      const few = yield* open(table, { shards: 1 })
      yield* few.insert(Array.from({ length: 10 }, () => job()))
      const many = yield* open(table, { shards: 7 })
      yield* many.insert(Array.from({ length: 20 }, (_, n) => job({ priority: n % 3 })))
      const rows = yield* claim(few, 100)
      assert.strictEqual(rows.length, 30)
      assert.deepStrictEqual(
        rows.map((row) => row.priority),
        rows.map((row) => row.priority).sort((a, b) => b - a)
      )
      assert.strictEqual((yield* all(few)).length, 30)
      const fewer = yield* open(table, { shards: 1 })
      assert.deepStrictEqual(yield* fewer.counts, [{ queue: "default", state: "running", count: 30 }])
    })
  )

  it.scopedLive("ten starters at once make one table", () =>
    Effect.gen(function* () {
      const table = server.freshTable()
      const storages = yield* Effect.forEach(Array.from({ length: 10 }), () => open(table), {
        concurrency: "unbounded"
      })
      yield* Effect.forEach(storages, (storage) => storage.insert([job()]), { concurrency: "unbounded" })
      assert.deepStrictEqual(yield* storages[0]?.counts ?? Effect.succeed([]), [
        { queue: "default", state: "pending", count: 10 }
      ])
    })
  )

  it.scopedLive("a payload, a result and a row as large as the limits say fit into an item", () =>
    Effect.gen(function* () {
      const storage = yield* open(server.freshTable())
      const { payloadBytes, resultBytes } = storage.capabilities.limits
      const one = job({
        payload: JSON.stringify("x".repeat(payloadBytes - 2)),
        uniqueKey: "k".repeat(1_000),
        tags: Array.from({ length: 20 }, (_, n) => `${n}`.padStart(100, "t"))
      })
      yield* storage.insert([one])
      const [held] = yield* claim(storage, 1)
      assert(held !== undefined)
      assert.strictEqual(held.payload, one.payload)
      yield* storage.progress(held, 0.5, "m".repeat(1_000))
      const text = JSON.stringify("y".repeat(resultBytes - 2))
      yield* storage.settle([{ id: held.id, token: held.token, to: "retry", delay: 0, failure: text }])
      const [again] = yield* claim(storage, 1)
      assert(again !== undefined)
      yield* storage.settle([{ id: again.id, token: again.token, to: "complete", result: text }])
      assert.deepInclude((yield* storage.get([one.id]))[0], { payload: one.payload, result: text, failure: null })
    })
  )
})

describe("DynamoStorage: opening", () => {
  const secret = "hush-this-is-secret"
  const options = (endpoint: string): DynamoStorage.Options => ({
    endpoint,
    region: "local",
    table: "dbjobq",
    credentials: { accessKeyId: "AKIAEXAMPLE", secretAccessKey: Redacted.make(secret) }
  })
  const opened = (given: DynamoStorage.Options) => Effect.flip(Layer.build(DynamoStorage.layer(given)))
  const isClean = (error: StorageError) => {
    assert.strictEqual(error._tag, "StorageError")
    assert.notInclude(inspect(error, { depth: 12, showHidden: true }), secret)
    assert.notInclude(JSON.stringify(error), secret)
  }
  const listening = (reply: () => { readonly status: number; readonly body: string } | undefined) =>
    Effect.acquireRelease(
      Effect.async<{ readonly url: string; readonly close: () => void }>((resume) => {
        const http = createServer((_, response) => {
          const answer = reply()
          if (answer === undefined) return
          response.writeHead(answer.status, { "content-type": "application/x-amz-json-1.0" })
          response.end(answer.body)
        })
        http.listen(0, "127.0.0.1", () => {
          resume(
            Effect.succeed({
              url: urlOf(http),
              close: () => {
                http.closeAllConnections()
                http.close()
              }
            })
          )
        })
      }),
      (http) => Effect.sync(http.close)
    )

  it.scopedLive("nobody listens: a transient error within 10 seconds", () =>
    Effect.gen(function* () {
      const error = yield* opened(options("http://127.0.0.1:1"))
      isClean(error)
      assert.isTrue(error.isTransient)
    }).pipe(Effect.timeout("10 seconds"))
  )

  it.scopedLive(
    "somebody listens and never answers: a transient error within 10 seconds",
    () =>
      Effect.gen(function* () {
        const { url } = yield* listening(() => undefined)
        const error = yield* opened(options(url))
        isClean(error)
        assert.isTrue(error.isTransient)
      }).pipe(Effect.timeout("10 seconds")),
    15_000
  )

  it.scopedLive("credentials that are refused: an error that is not transient, at once", () =>
    Effect.gen(function* () {
      const { url } = yield* listening(() => ({
        status: 400,
        body: JSON.stringify({
          __type: "com.amazon.coral.service#UnrecognizedClientException",
          message: `The security token AKIAEXAMPLE/${"x".repeat(4)} is invalid.`
        })
      }))
      const error = yield* opened(options(url))
      isClean(error)
      assert.isFalse(error.isTransient)
      assert.strictEqual(error.message, "open: DescribeTable: UnrecognizedClientException")
    }).pipe(Effect.timeout("10 seconds"))
  )

  it.scopedLive("a table of another form, or none, is refused by name", () =>
    Effect.gen(function* () {
      const table = server.freshTable()
      const missing = yield* Effect.flip(open(table, { createTable: false }))
      assert.include(missing.message, `${table} does not exist`)
      yield* Effect.promise(() =>
        client.send(
          new CreateTableCommand({
            TableName: table,
            BillingMode: "PAY_PER_REQUEST",
            AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
            KeySchema: [{ AttributeName: "id", KeyType: "HASH" }]
          })
        )
      )
      const other = yield* Effect.flip(open(table))
      assert.include(other.message, "has other keys than pk and sk")
      assert.isFalse(other.isTransient)
    })
  )

  it.scopedLive("a service that goes away later: typed transient errors", () =>
    Effect.gen(function* () {
      const local = dynalite({ createTableMs: 0 })
      const url = yield* Effect.async<string>((resume) => {
        local.listen(0, "127.0.0.1", () => resume(Effect.succeed(urlOf(local))))
      })
      const storage = Context.get(yield* Layer.build(DynamoStorage.layer(options(url))), JobStorage)
      yield* storage.insert([job()])
      yield* Effect.async<void>((resume) => {
        local.close(() => resume(Effect.void))
        local.closeAllConnections()
      })
      for (const [operation, effect] of [
        ["claim", claim(storage, 1)],
        ["insert", storage.insert([job()])],
        ["counts", storage.counts]
      ] as const) {
        const error: StorageError = yield* Effect.flip<unknown, StorageError, never>(effect)
        isClean(error)
        assert.isTrue(error.isTransient)
        assert.strictEqual(error.operation, operation)
      }
    })
  )

  it.scopedLive("options from the configuration; options outside their rule are refused", () =>
    Effect.gen(function* () {
      const config = DynamoStorage.layerConfig({
        endpoint: Config.string("ENDPOINT"),
        table: Config.string("TABLE"),
        region: Config.string("REGION"),
        credentials: { accessKeyId: Config.string("ID"), secretAccessKey: Config.redacted("SECRET") }
      })
      const table = server.freshTable()
      const given = new Map([
        ["ENDPOINT", server.endpoint],
        ["TABLE", table],
        ["REGION", "local"],
        ["ID", "test"],
        ["SECRET", "test"]
      ])
      if (server.endpoint !== "aws") {
        const storage = Context.get(
          yield* Layer.build(config).pipe(Effect.withConfigProvider(ConfigProvider.fromMap(given))),
          JobStorage
        )
        assert.strictEqual(storage.capabilities.storage, "dynamodb")
      }
      assert.throws(() => DynamoStorage.layer({ table: "a b" }), /table/)
      assert.throws(() => DynamoStorage.layer({ shards: 0 }), /shards/)
      assert.throws(() => DynamoStorage.layer({ clockSkew: -1 }), /clockSkew/)
    })
  )
})
