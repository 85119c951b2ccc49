import { Job } from "dbjobq"
import { Schema } from "effect"

export const Slow = Job.make("Slow", { payload: { millis: Schema.Number }, retry: { times: 5 } })
export const Kill = Job.make("Kill", { retry: { times: 10 } })
export const Beat = Job.make("Beat")
