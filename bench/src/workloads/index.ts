import type { Workload } from "../workload.js"
import { drain10, drain50, failing, memory, priorities, twoProcesses } from "./drain.js"
import { bulk, enqueue } from "./enqueue.js"
import { finished, pending, scheduled, snapshot } from "./growth.js"
import { herd } from "./herd.js"
import { idle } from "./idle.js"
import { latency } from "./latency.js"

export const workloads: ReadonlyArray<Workload> = [
  enqueue,
  bulk,
  drain10,
  drain50,
  twoProcesses,
  priorities,
  failing,
  finished,
  pending,
  scheduled,
  snapshot,
  latency,
  idle,
  herd,
  memory
]
