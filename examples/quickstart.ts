import { Job, JobQueue, Worker } from "dbjobq"
import { SqliteStorage } from "dbjobq/storage/SqliteStorage"
import { Console, Effect, Layer, Schema } from "effect"
