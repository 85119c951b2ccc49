/**
 * Group commit, for single inserts: those that arrive while others are being written go together in the next write, so
 * that many share one commit, and a lone one waits for nobody. Each still answers only once its own row is durable.
 * One group is written at a time, and beside it who came alone: of those there may be several where one is slow, as
 * nobody waits for him.
 */
import * as Effect from "effect/Effect"
import { liveClock } from "./liveClock.js"
import type { StorageError } from "../JobError.js"
import type { Inserted, NewJob, Service } from "../JobStorage.js"

type Answer = Effect.Effect<ReadonlyArray<Inserted>, StorageError>

/** A Deferred would do, but to make one takes 7 us, a tenth of what an insert in a group takes in all. */
interface Member {
  readonly job: NewJob
  answer: Answer | undefined
  resume: ((answer: Answer) => void) | undefined
}

const reply = (member: Member, answer: Answer): void => {
  member.answer = answer
  member.resume?.(answer)
}

const largest = 1_000
/** A write under way for longer, in milliseconds, is stuck: whoever comes then goes without it. */
const patience = 500

interface Options {
  /** Where the caller may have a transaction open, an insert inside it goes by itself. */
  readonly inTransaction?: Effect.Effect<boolean> | undefined
  /** The driver answers without waiting, so nobody else gets a turn meanwhile unless they are given one. */
  readonly blocking: boolean
}

export const make = (insert: Service["insert"], { blocking, inTransaction }: Options): Service["insert"] => {
  const waiting: Array<Member> = []
  let writing = false
  let since = 0
  /** One is written by itself. When that fails or is interrupted nobody says so: then the next group does. */
  let alone = false

  const byItself = (member: Member) => Effect.map(Effect.exit(insert([member.job])), (exit) => reply(member, exit))

  const write = (group: ReadonlyArray<Member>): Effect.Effect<void> =>
    Effect.matchCauseEffect(insert(group.map(({ job }) => job)), {
      onSuccess: (inserted) =>
        Effect.sync(() => group.forEach((member, i) => reply(member, Effect.succeed(inserted.slice(i, i + 1))))),
      onFailure: (cause) =>
        // what one of them is refused for is no matter of the others
        cause._tag === "Fail" && !cause.error.isTransient && group.length > 1
          ? Effect.forEach(group, byItself, { discard: true })
          : Effect.sync(() => group.forEach((member) => reply(member, Effect.failCause(cause))))
    })

  /** Until nobody waits. The yield lets those join who are about to: the ones that the last write has just answered. */
  const writeAll: Effect.Effect<void> = Effect.flatMap(Effect.yieldNow(), () => {
    const group = waiting.splice(0, largest)
    if (group.length > 0) {
      since = liveClock.unsafeCurrentTimeMillis()
      return Effect.zipRight(write(group), writeAll)
    }
    writing = false
    alone = false
    return Effect.void
  })

  // whoever begins it may be interrupted, and the others not wait in vain
  const begin = Effect.forkDaemon(Effect.uninterruptible(writeAll))

  const awaited = (member: Member): Answer =>
    Effect.async((resume) => {
      if (member.answer !== undefined) resume(member.answer)
      else member.resume = resume
      return Effect.sync(() => {
        const at = waiting.indexOf(member)
        if (at >= 0) waiting.splice(at, 1)
      })
    })

  /** Goes with the next group. */
  const join = (job: NewJob): Answer =>
    Effect.uninterruptibleMask((restore) => {
      if (writing && liveClock.unsafeCurrentTimeMillis() - since > patience) return restore(insert([job]))
      const member: Member = { job, answer: undefined, resume: undefined }
      waiting.push(member)
      if (writing) return restore(awaited(member))
      writing = true
      since = liveClock.unsafeCurrentTimeMillis()
      return Effect.zipRight(begin, restore(awaited(member)))
    })

  // no mask and no finalizer: a lone enqueue is to cost no more than its write
  const single = (job: NewJob): Answer =>
    Effect.map(insert([job]), (inserted) => {
      alone = false
      return inserted
    })

  const grouped = (job: NewJob): Answer =>
    Effect.suspend(() => {
      if (writing || alone) return join(job)
      alone = true
      return blocking ? Effect.flatMap(Effect.yieldNow(), () => (writing ? join(job) : single(job))) : single(job)
    })

  return (jobs) => {
    const [first, second] = jobs
    // a unique key may have to wait for another transaction, and nobody should wait with it
    if (first === undefined || second !== undefined || first.uniqueKey !== null) return insert(jobs)
    return inTransaction === undefined
      ? grouped(first)
      : Effect.flatMap(inTransaction, (inside) => (inside ? insert(jobs) : grouped(first)))
  }
}
