/** UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, then random bits, so that ids sort in enqueue order. */
import { createHash, randomUUID } from "node:crypto"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0")

/** The last two groups, which are those of a version 4 id: the variant, then 62 random bits. */
const randomTail = (): string => randomUUID().slice(19)

/** The first two groups, of a time in milliseconds. */
const head = (millis: number): string => {
  const at = hex(millis, 12)
  return `${at.slice(0, 8)}-${at.slice(8)}-`
}

/** The third group: version 7, then a counter of 12 bits. */
const counted = (i: number): string => (0x7000 | (i & 0xfff)).toString(16)

/**
 * `count` ids of one millisecond, in ascending order: they differ by a counter, and from those of any other call by 62
 * random bits, which they share. Not of Effect's Random, which may be seeded: a repeated seed must not repeat an id.
 */
export const make = (count: number): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    const tail = `-${randomTail()}`
    let first = ""
    return Array.from({ length: count }, (_, i) => {
      // past 4,096 ids the timestamp borrows from the next milliseconds, as the RFC's method 1 allows
      if ((i & 0xfff) === 0) first = head(now + (i >>> 12))
      return first + counted(i) + tail
    })
  })

/** Ids one by one, each of the millisecond that it is asked for; those of the same one share how it is written. */
export const oneByOne = (): ((now: number) => string) => {
  let millis = Number.NaN
  let first = ""
  return (now) => {
    if (now !== millis) {
      millis = now
      first = `${head(now)}7000-`
    }
    return first + randomTail()
  }
}

export interface SlotId {
  readonly id: string
  /** A stable number from 0 up to, but not including, 2^48. */
  readonly spread: number
}

/** What stands for one slot of a schedule wherever it is asked for: hash bits where `make` has random ones. */
export const ofSlot = (schedule: string, slot: number): SlotId => {
  const hash = createHash("sha256").update(`${slot} ${schedule}`).digest()
  const at = hex(Math.max(0, slot), 12)
  const high = hash.readUInt16BE(0) & 0xfff
  const middle = 0x8000 | (hash.readUInt16BE(2) & 0x3fff)
  const id = `${at.slice(0, 8)}-${at.slice(8)}-7${hex(high, 3)}-${hex(middle, 4)}-${hex(hash.readUIntBE(4, 6), 12)}`
  return { id, spread: hash.readUIntBE(10, 6) }
}
