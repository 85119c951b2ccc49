/** Change streams: the log of changes as events, from a position on. */
import type { Change, Data } from "./data.js"
import { unsupported } from "./failure.js"
import { doc, isDoc, pipeline } from "./language.js"
import type { Doc } from "./wire.js"

export interface Watch {
  readonly database: string
  readonly stages: ReadonlyArray<Doc>
  position: number
}

export const token = (position: number): Doc => ({ _data: position.toString(16).padStart(16, "0") })

const positionOf = (resume: unknown): number | undefined =>
  isDoc(resume) ? Number.parseInt(String(resume._data), 16) : undefined

export const open = (data: Data, database: string, stages: ReadonlyArray<Doc>): Watch => {
  const [first, ...rest] = stages
  const { resumeAfter, startAfter, ...others } = doc(first?.$changeStream)
  for (const option of Object.keys(others)) throw unsupported(`the change stream option ${option}`)
  return { database, stages: rest, position: positionOf(resumeAfter ?? startAfter) ?? data.log.length }
}

const difference = (before: Doc, after: Doc): Doc => ({
  updatedFields: Object.fromEntries(
    Object.entries(after).filter(([field, value]) => JSON.stringify(value) !== JSON.stringify(before[field]))
  ),
  removedFields: Object.keys(before).filter((field) => !(field in after))
})

const event = ({ after, at, before, collection, database, id }: Change): Doc => ({
  _id: token(at),
  operationType: before === undefined ? "insert" : after === undefined ? "delete" : "update",
  ns: { db: database, coll: collection },
  documentKey: { _id: id },
  ...(before === undefined ? { fullDocument: after } : {}),
  ...(before !== undefined && after !== undefined ? { updateDescription: difference(before, after) } : {})
})

/** The events since the last read; waits for one until the time is over. */
export const read = async (data: Data, watch: Watch, millis: number): Promise<ReadonlyArray<Doc>> => {
  const until = Date.now() + millis
  for (;;) {
    const changes = data.log.slice(watch.position).filter((change) => change.database === watch.database)
    watch.position = data.log.length
    const events = pipeline(watch.stages, changes.map(event))
    const left = until - Date.now()
    if (events.length > 0 || left <= 0) return events
    await data.changed(left)
  }
}
