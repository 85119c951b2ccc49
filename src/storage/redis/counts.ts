import type { Count, Service } from "../../JobStorage.js"
import type { Db } from "./db.js"
import * as Reply from "./reply.js"
import * as Script from "./script.js"
import { state } from "./row.js"

const script = Script.make("counts", "reads", `return redis.call('HGETALL', base .. 'counts')`)

export const counts = (db: Db): Service["counts"] =>
  db.run(script, [], (reply) => {
    const flat = Reply.list(reply)
    const found: Array<Count> = []
    for (let at = 0; at + 1 < flat.length; at += 2) {
      const field = Reply.text(flat[at])
      const colon = field.indexOf(":")
      found.push({
        queue: field.slice(colon + 1),
        state: state(field.slice(0, colon)),
        count: Reply.number(flat[at + 1])
      })
    }
    return found
  })
