import { Job } from "dbjobq"
import { Schema } from "effect"

/** Takes so long, and at a later attempt `again`. */
export const Slow = Job.make("Slow", {
  payload: { millis: Schema.Number, again: Schema.optional(Schema.Number) },
  retry: { times: 5 }
})
export const Kill = Job.make("Kill", { retry: { times: 10 } })
export const Beat = Job.make("Beat")
