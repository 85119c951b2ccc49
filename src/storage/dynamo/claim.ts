import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Random from "effect/Random"
import type { StorageError } from "../../JobError.js"
import type { ClaimedJob, ClaimRequest, Service } from "../../JobStorage.js"
import { type Control, readControl } from "./control.js"
import type { Db } from "./db.js"
import { idOf, type Pair } from "./keys.js"
import type { Entry } from "./merge.js"
import { changeEach } from "./records.js"
import { settle } from "./settle.js"
import { claimed, handedOut } from "../../internal/transitions.js"
import { ready } from "./work.js"

const best = (a: ClaimedJob, b: ClaimedJob): number =>
  b.priority - a.priority || a.runAt - b.runAt || (a.id < b.id ? -1 : 1)

const open = ({ paused, pairs }: Control, request: ClaimRequest): ReadonlyArray<Pair> => {
  const names = new Set(request.names)
  const queues = request.queues === undefined ? undefined : new Set(request.queues)
  const except = new Set(request.exceptQueues ?? [])
  return pairs.filter(
    ({ name, queue }) =>
      names.has(name) && !paused.has(queue) && !except.has(queue) && (queues === undefined || queues.has(queue))
  )
}

/**
 * The heads of the ready partitions are merged and claimed by conditional writes. In a round that lost jobs to another
 * process the window is doubled and the next try begins at a random place in it: claimers that all wanted the very
 * best would only take turns at losing.
 */
const takeInto = (db: Db, request: ClaimRequest, taken: Array<ClaimedJob>): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    // read consistently, so a pause that has returned is seen
    const pairs = open(yield* readControl(db), request)
    if (pairs.length === 0) return
    const sequence = ready(db, pairs, request.limit)
    const window: Array<Entry> = []
    for (let spread = 1; taken.length < request.limit; ) {
      const wanted = request.limit - taken.length
      window.push(...(yield* sequence.take(wanted * spread - window.length)))
      if (window.length === 0) return
      const last = Math.max(0, window.length - wanted)
      const from = spread === 1 || last === 0 ? 0 : yield* Random.nextIntBetween(0, last + 1)
      const candidates = window.splice(from, wanted).map((entry) => idOf(entry.pk))
      const tried = new Set<string>()
      let lost = 0
      const claims = changeEach(
        db,
        candidates,
        (id) => id,
        (row, id, now) => {
          if (row?.state !== "pending") {
            if (tried.has(id)) lost++
            return { answer: undefined }
          }
          tried.add(id)
          const next = claimed(row, request, now)
          return { answer: next, next }
        }
      )
      // whatever was written must be known, or nobody would run it until its lease is over
      const failure = yield* Effect.uninterruptible(
        Effect.map(claims, (answers) => {
          for (const answer of answers) {
            if (Either.isRight(answer) && answer.right !== undefined) taken.push(handedOut(answer.right))
          }
          return answers.find(Either.isLeft)
        })
      )
      if (failure !== undefined) return yield* failure.left
      spread = lost > 0 ? Math.min(spread * 2, 16) : 1
    }
  })

export const claim =
  (db: Db): Service["claim"] =>
  (request) =>
    Effect.suspend(() => {
      if (request.limit <= 0 || request.names.length === 0) return Effect.succeed([])
      const taken: Array<ClaimedJob> = []
      const giveBack = Effect.suspend(() => settle(db)(taken.map(({ id, token }) => ({ id, token, to: "release" }))))
      return takeInto(db, request, taken).pipe(
        // what is taken must reach its worker: the failure shows again in the next call
        Effect.catchAll((error) => (taken.length > 0 ? Effect.void : Effect.fail(error))),
        Effect.map(() => taken.sort(best)),
        // if that fails too, the leases run out
        Effect.onInterrupt(() => Effect.ignore(giveBack))
      )
    })
