/**
 * Group commit, for single inserts: those that arrive while others are being written go together in the next write, so
 * that many share one commit, and a lone one waits for nobody. Each still answers only once its own row is durable.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { StorageError } from "../../JobError.js"
import type { Inserted, NewJob, Service } from "../../JobStorage.js"

interface Member {
  readonly job: NewJob
  readonly answers: Deferred.Deferred<ReadonlyArray<Inserted>, StorageError>
}

const largest = 1_000

export const make = (insert: Service["insert"], inTransaction: Effect.Effect<boolean>): Service["insert"] => {
  const waiting: Array<Member> = []
  let writing = false

  const alone = ({ answers, job }: Member) =>
    Effect.flatMap(Effect.exit(insert([job])), (exit) => Deferred.done(answers, exit))

  const write = (group: ReadonlyArray<Member>): Effect.Effect<unknown> =>
    Effect.matchCauseEffect(insert(group.map(({ job }) => job)), {
      onSuccess: (inserted) =>
        Effect.forEach(group, ({ answers }, i) => Deferred.succeed(answers, inserted.slice(i, i + 1)), {
          discard: true
        }),
      onFailure: (cause) =>
        // what one of them is refused for is no matter of the others
        cause._tag === "Fail" && !cause.error.isTransient && group.length > 1
          ? Effect.forEach(group, alone, { discard: true })
          : Effect.forEach(group, ({ answers }) => Deferred.failCause(answers, cause), { discard: true })
    })

  // the yield lets those join who are about to: the ones that the last write has just answered
  const writeAll: Effect.Effect<void> = Effect.flatMap(Effect.yieldNow(), () => {
    const group = waiting.splice(0, largest)
    if (group.length > 0) return Effect.zipRight(write(group), writeAll)
    writing = false
    return Effect.void
  })

  const join = (job: NewJob) =>
    Effect.flatMap(Deferred.make<ReadonlyArray<Inserted>, StorageError>(), (answers) => {
      const member: Member = { job, answers }
      waiting.push(member)
      const answered = Effect.onInterrupt(Deferred.await(answers), () =>
        Effect.sync(() => {
          const at = waiting.indexOf(member)
          if (at >= 0) waiting.splice(at, 1)
        })
      )
      if (writing) return answered
      writing = true
      // whoever began it may be interrupted, and the others not wait in vain
      return Effect.zipRight(Effect.forkDaemon(Effect.uninterruptible(writeAll)), answered)
    })

  return (jobs) => {
    const [first, second] = jobs
    return first === undefined || second !== undefined
      ? insert(jobs)
      : Effect.flatMap(inTransaction, (inside) => (inside ? insert(jobs) : join(first)))
  }
}
