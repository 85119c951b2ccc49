import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { ClaimedJob, ClaimRequest, Service } from "../../JobStorage.js"
import { type Control, readControl } from "./control.js"
import type { Db } from "./db.js"
import { idOf, type Pair } from "./keys.js"
import type { Entry } from "./merge.js"
import { change } from "./records.js"
import { claimed, handedOut } from "./transitions.js"
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
export const claim =
  (db: Db): Service["claim"] =>
  (request) =>
    Effect.gen(function* () {
      if (request.limit <= 0 || request.names.length === 0) return []
      // read consistently, so a pause that has returned is seen
      const pairs = open(yield* readControl(db), request)
      if (pairs.length === 0) return []
      const sequence = ready(db, pairs, request.limit)
      const taken: Array<ClaimedJob> = []
      const window: Array<Entry> = []
      for (let spread = 1; taken.length < request.limit; ) {
        const wanted = request.limit - taken.length
        window.push(...(yield* sequence.take(wanted * spread - window.length)))
        if (window.length === 0) break
        const last = Math.max(0, window.length - wanted)
        const from = spread === 1 || last === 0 ? 0 : yield* Random.nextIntBetween(0, last + 1)
        const tried = new Set<string>()
        let lost = 0
        const rows = yield* change(
          db,
          window.splice(from, wanted).map((entry) => idOf(entry.pk)),
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
        for (const row of rows) if (row !== undefined) taken.push(handedOut(row))
        spread = lost > 0 ? Math.min(spread * 2, 16) : 1
      }
      return taken.sort(best)
    })
