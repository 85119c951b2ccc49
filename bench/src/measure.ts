/** Runs the parts of a bench one after another; what is known so far is written after each workload. */
import { barsTable } from "./bars.js"
import { machine } from "./machine.js"
import type { Output } from "./output.js"
import type { Peer } from "./peer.js"
import { run } from "./run.js"
import { workloadSection } from "./table.js"
import type { Sizes, Workload } from "./workload.js"

interface Part {
  readonly workloads: ReadonlyArray<Workload>
  readonly peers: ReadonlyArray<Peer>
  readonly rounds: number
}

const log = (line: string) => process.stderr.write(`${line}\n`)

/** Answers whether all went well. */
export const measure = async (parts: ReadonlyArray<Part>, sizes: Sizes, output: Output): Promise<boolean> => {
  const where = await machine(parts.flatMap(({ peers }) => peers.map(({ store }) => store)))
  let fine = true
  const names: Array<string> = []
  for (const { peers, rounds, workloads } of parts) {
    for (const workload of workloads) {
      const result = await run(workload, { peers, rounds, sizes, log })
      if (result.peers.some(({ errors }) => errors.length > 0)) fine = false
      names.push(result.name)
      output.add(where, result)
      output.write()
      process.stdout.write(`${workloadSection(result)}\n\n`)
    }
  }
  process.stdout.write(`${barsTable(output.only(names))}\n\n`)
  return fine
}
