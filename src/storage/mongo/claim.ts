import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { Document, Filter, ObjectId } from "mongodb"
import type { StorageError } from "../../JobError.js"
import type { ClaimedJob, ClaimRequest, Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import { mark, run } from "./db.js"
import { type ClaimedDocument, claimedFields, claimedOf, type JobDocument } from "./document.js"
import { after, type Now } from "./time.js"

/** Rounds in which other claimers took every candidate before this one gives up for now. */
const rounds = 6

const best = { priority: -1, runAt: 1, _id: 1 } as const

/** Undefined when no queue is left. */
const claimable = (request: ClaimRequest, paused: ReadonlyArray<string>): Filter<JobDocument> | undefined => {
  const except = new Set([...(request.exceptQueues ?? []), ...paused])
  const base: Filter<JobDocument> = { state: "pending", name: { $in: Array.from(new Set(request.names)) } }
  if (request.queues === undefined) return except.size === 0 ? base : { ...base, queue: { $nin: Array.from(except) } }
  const queues = request.queues.filter((queue) => !except.has(queue))
  return queues.length === 0 ? undefined : { ...base, queue: { $in: queues } }
}

const taking = (request: ClaimRequest, claimId: ObjectId, now: Now): Array<Document> => [
  {
    $set: {
      state: "running",
      attempt: { $add: ["$attempt", 1] },
      token: { $add: ["$token", 1] },
      owner: { $literal: request.owner },
      leaseUntil: after(now, request.lease),
      startedAt: now,
      progress: null,
      progressMessage: null,
      claimId
    }
  }
]

const claimOne = (db: Db, request: ClaimRequest, filter: Filter<JobDocument>) =>
  Effect.gen(function* () {
    const change = taking(request, yield* mark, yield* db.now)
    const found = yield* run("claim", () =>
      db.jobs.findOneAndUpdate(filter, change, { sort: best, projection: claimedFields, returnDocument: "after" })
    )
    return found === null ? [] : [claimedOf(found)]
  })

/** Takes those of the candidates that are still pending. A repeat after a lost reply finds what it took. */
const take = (db: Db, request: ClaimRequest, ids: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const claimId = yield* mark
    const change = taking(request, claimId, yield* db.now)
    const write = run("claim", () => db.jobs.updateMany({ _id: { $in: ids }, state: "pending" }, change))
    const read = run("claim", () =>
      db.jobs
        .find({ _id: { $in: ids }, claimId, state: "running" })
        .project<ClaimedDocument>(claimedFields)
        .sort(best)
        .toArray()
    )
    const taken = yield* Effect.retry(Effect.zipRight(write, read), { times: 1, while: (error) => error.isTransient })
    return taken.map(claimedOf)
  })

const claimMany = (
  db: Db,
  request: ClaimRequest,
  filter: Filter<JobDocument>
): Effect.Effect<ReadonlyArray<ClaimedJob>, StorageError> =>
  Effect.gen(function* () {
    for (let round = 0; round < rounds; round++) {
      // the best; beaten to it by others, some of the next best too, so that claimers get out of each other's way
      const reach = request.limit * 2 ** round
      const candidates = yield* run("claim", () =>
        db.jobs.find(filter).project<Pick<JobDocument, "_id">>({ _id: 1 }).sort(best).limit(reach).toArray()
      )
      if (candidates.length === 0) return []
      const from = yield* Random.nextIntBetween(0, Math.max(1, candidates.length - request.limit + 1))
      const chosen = candidates.slice(from, from + request.limit)
      const taken = yield* take(
        db,
        request,
        chosen.map((one) => one._id)
      )
      if (taken.length > 0) return taken
    }
    return []
  })

export const claim =
  (db: Db): Service["claim"] =>
  (request) =>
    request.limit <= 0 || request.names.length === 0
      ? Effect.succeed([])
      : Effect.gen(function* () {
          const paused = yield* run("claim", () => db.queues.find({ paused: true }).toArray())
          const filter = claimable(
            request,
            paused.map((queue) => queue._id)
          )
          if (filter === undefined) return []
          return yield* request.limit === 1 ? claimOne(db, request, filter) : claimMany(db, request, filter)
        })
