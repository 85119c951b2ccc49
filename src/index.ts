/**
 * Durable background jobs for Effect applications. Your database is the queue.
 *
 * @since 0.1.0
 */
export * as Failure from "./Failure.js"
export * as Job from "./Job.js"
export * as JobError from "./JobError.js"
export * as JobQueue from "./JobQueue.js"
export * as JobSchedule from "./JobSchedule.js"
export * as JobStorage from "./JobStorage.js"
export * as Recurrence from "./Recurrence.js"
export * as Rows from "./Rows.js"
export * as Worker from "./Worker.js"
