import * as Hear from "../../internal/hear.js"
import * as Turns from "../../internal/turns.js"
import * as GroupCommit from "../../internal/groupCommit.js"
import type { Service } from "../../JobStorage.js"
import { cancel } from "./cancel.js"
import { claim } from "./claim.js"
import type { Connection } from "./connection.js"
import { counts } from "./counts.js"
import * as Db from "./db.js"
import { enableSchedules } from "./enableSchedules.js"
import { fire } from "./fire.js"
import { get } from "./get.js"
import { atomicInsert, insert } from "./insert.js"
import { list } from "./list.js"
import { look } from "./look.js"
import { pausedQueues, pauseQueue, resumeQueue } from "./pause.js"
import { progress } from "./progress.js"
import { promote } from "./promote.js"
import { prune } from "./prune.js"
import { putSchedules } from "./putSchedules.js"
import { dueSchedules, getSchedules, listSchedules } from "./readSchedules.js"
import { remove } from "./remove.js"
import { removeSchedules } from "./removeSchedules.js"
import { renew } from "./renew.js"
import { rerun } from "./rerun.js"
import { reschedule } from "./reschedule.js"
import { settle } from "./settle.js"
import { sweep } from "./sweep.js"
import { wakeups } from "./wakeups.js"

// the largest text of Redis; the client's own buffers give out before
const largest = 512 * 1024 * 1024

export const make = (connection: Connection, base: string, storeClock: boolean, groupCommit: boolean): Service => {
  const db = Db.make(connection, storeClock)
  const turns = Turns.make({ claim: claim(db), promote: promote(db), look: look(db) })
  return {
    capabilities: {
      storage: "redis",
      transactional: false,
      wakeups: "hint",
      storeClock,
      durable: true,
      limits: { payloadBytes: largest, resultBytes: largest, atomicInsert }
    },
    insert: groupCommit ? GroupCommit.make(insert(db), { blocking: false }) : insert(db),
    claim: turns.claim,
    promote: turns.promote,
    settle: settle(db),
    renew: renew(db),
    progress: progress(db),
    sweep: sweep(db),
    cancel: cancel(db),
    rerun: rerun(db),
    reschedule: reschedule(db),
    remove: remove(db),
    get: get(db),
    list: list(db),
    counts: counts(db),
    pauseQueue: pauseQueue(db),
    resumeQueue: resumeQueue(db),
    pausedQueues: pausedQueues(db),
    prune: prune(db),
    putSchedules: putSchedules(db),
    removeSchedules: removeSchedules(db),
    enableSchedules: enableSchedules(db),
    getSchedules: getSchedules(db),
    listSchedules: listSchedules(db),
    dueSchedules: dueSchedules(db),
    fire: fire(db),
    wakeups: Hear.stream(wakeups(connection, db, base, turns))
  }
}
