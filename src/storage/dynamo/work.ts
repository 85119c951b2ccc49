/** Sequences of jobs from the index of work. What it says is a hint: the job itself is asked before anything is done. */
import { type Db, eachShard } from "./db.js"
import { instant, kindPartition, listIndex, listPartition, type Pair, readyPartition, workIndex } from "./keys.js"
import { type Entry, merge, type Sequence } from "./merge.js"

const work = (db: Db, partitions: ReadonlyArray<string>, expected: number): Sequence =>
  merge(db, { index: workIndex, hash: "wk", range: "ws", partitions, expected })

/** Pending jobs of these pairs, best first. */
export const ready = (db: Db, pairs: ReadonlyArray<Pair>, expected: number): Sequence =>
  work(
    db,
    pairs.flatMap((pair) => eachShard(db, (shard) => readyPartition(pair, shard))),
    expected
  )

/** Jobs of one kind by the instant that matters for it: due, end of lease, end of the job, or making of the draft. */
export const byInstant = (db: Db, kind: Parameters<typeof kindPartition>[0], expected: number): Sequence =>
  work(
    db,
    eachShard(db, (shard) => kindPartition(kind, shard)),
    expected
  )

/** Whether the instant in an entry's order has come. */
export const until =
  (now: number) =>
  (entry: Entry): boolean =>
    entry.order.slice(0, 16) <= instant(now)

/** The instant in an entry's order. */
export const instantOf = (entry: Entry): number => Number(entry.order.slice(0, 16))

/** All jobs by id. */
export const byId = (db: Db, after: string | undefined, expected: number): Sequence =>
  merge(db, {
    index: listIndex,
    hash: "lk",
    range: "pk",
    partitions: eachShard(db, listPartition),
    after,
    expected
  })
