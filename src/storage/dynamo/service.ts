/** The storage service on a client. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Hear from "../../internal/hear.js"
import * as Hints from "../../internal/hints.js"
import type { StorageError } from "../../JobError.js"
import type * as Storage from "../../JobStorage.js"
import { claim } from "./claim.js"
import type { Dynamo } from "./client.js"
import { announceShards, pauses } from "./control.js"
import type { Db } from "./db.js"
import { storageError } from "./errors.js"
import { fire } from "./fire.js"
import { insert } from "./insert.js"
import { cancel, remove, rerun, reschedule } from "./operate.js"
import { promote } from "./promote.js"
import { counts, get, list } from "./read.js"
import { progress, renew } from "./renew.js"
import { schedules } from "./schedules.js"
import { settle } from "./settle.js"
import { prune, sightings, sweep } from "./sweep.js"
import { ensureTable } from "./table.js"

export interface Settings extends Dynamo {
  readonly shards: number
  readonly clockSkew: number
  readonly create: boolean
  readonly connectTimeout: Duration.Duration
}

/** An item holds 409,600 bytes: this leaves 48 KiB for the names, keys, tags, messages and the failure of an attempt. */
const capabilities: Storage.Capabilities = {
  storage: "dynamodb",
  transactional: false,
  wakeups: "hint",
  storeClock: false,
  durable: true,
  limits: { payloadBytes: 262_144, resultBytes: 98_304, atomicInsert: 1 }
}

/** Errors name the operation of the seam, and the request behind it. */
const named = <A>(operation: string, effect: Effect.Effect<A, StorageError>): Effect.Effect<A, StorageError> =>
  Effect.mapError(effect, (error) => storageError(operation, error))

export const make = (settings: Settings): Effect.Effect<Storage.Service, StorageError> =>
  Effect.gen(function* () {
    const hints = Hints.make()
    const seen = yield* sightings
    let knownShards = settings.shards
    const db: Db = {
      client: settings.client,
      table: settings.table,
      concurrency: settings.concurrency,
      shards: settings.shards,
      clockSkew: settings.clockSkew,
      knownShards: {
        get: () => knownShards,
        raise: (shards) => {
          knownShards = Math.max(knownShards, shards)
        }
      },
      pairs: new Set(),
      tell: hints.tell
    }
    yield* named("open", Effect.zipRight(ensureTable(db, settings), announceShards(db)))
    // claims of one process take turns: at the head of the queue they would only be in each other's way
    const turn = yield* Effect.makeSemaphore(1)
    const of = {
      insert: insert(db),
      claim: claim(db),
      promote: promote(db),
      settle: settle(db),
      renew: renew(db),
      progress: progress(db),
      sweep: sweep(db, seen),
      cancel: cancel(db),
      rerun: rerun(db),
      reschedule: reschedule(db),
      remove: remove(db),
      get: get(db),
      list: list(db),
      prune: prune(db),
      fire: fire(db),
      ...pauses(db),
      ...schedules(db)
    }
    return {
      capabilities,
      insert: (jobs) => named("insert", of.insert(jobs)),
      claim: (request) => named("claim", turn.withPermits(1)(of.claim(request))),
      promote: (limit) => named("promote", of.promote(limit)),
      settle: (outcomes) => named("settle", of.settle(outcomes)),
      renew: (holds, lease) => named("renew", of.renew(holds, lease)),
      progress: (hold, share, message) => named("progress", of.progress(hold, share, message)),
      sweep: (request) => named("sweep", of.sweep(request)),
      cancel: (ids) => named("cancel", of.cancel(ids)),
      rerun: (ids) => named("rerun", of.rerun(ids)),
      reschedule: (ids, due) => named("reschedule", of.reschedule(ids, due)),
      remove: (ids) => named("remove", of.remove(ids)),
      get: (ids) => named("get", of.get(ids)),
      list: (page) => named("list", of.list(page)),
      counts: named("counts", counts(db)),
      pauseQueue: (queue) => named("pauseQueue", of.pauseQueue(queue)),
      resumeQueue: (queue) => named("resumeQueue", of.resumeQueue(queue)),
      pausedQueues: named("pausedQueues", of.pausedQueues),
      prune: (states, age, limit) => named("prune", of.prune(states, age, limit)),
      putSchedules: (all) => named("putSchedules", of.putSchedules(all)),
      removeSchedules: (ids) => named("removeSchedules", of.removeSchedules(ids)),
      enableSchedules: (changes) => named("enableSchedules", of.enableSchedules(changes)),
      getSchedules: (ids) => named("getSchedules", of.getSchedules(ids)),
      listSchedules: (page) => named("listSchedules", of.listSchedules(page)),
      dueSchedules: (limit) => named("dueSchedules", of.dueSchedules(limit)),
      fire: (fires) => named("fire", of.fire(fires)),
      wakeups: Hear.stream(hints.hear)
    }
  })
