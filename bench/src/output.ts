/** The files that a bench writes, and adds to when it runs again for other workloads. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { basename, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { chart, type Selection } from "./chart.js"
import { fill } from "./regions.js"
import { type Results, read, type WorkloadResult } from "./results.js"
import { document, part } from "./table.js"
import { workloads } from "./workloads/index.js"

export interface Output {
  readonly add: (machine: Results["machine"], result: WorkloadResult) => void
  readonly only: (names: ReadonlyArray<string>) => Results
  readonly write: () => void
}

interface Options {
  readonly out: string | undefined
  readonly into: string | undefined
  readonly chart: Selection | undefined
}

/** npm runs this in bench/; what is given is meant from where npm was called. */
const given = (path: string) => resolve(process.env["INIT_CWD"] ?? ".", path)

export const output = ({ chart: selection, into, out }: Options): Output => {
  const folder = out === undefined ? fileURLToPath(new URL("../results", import.meta.url)) : given(out)
  const file = join(folder, "results.json")
  let results = read(file)
  const writeInto = (markdown: string) => {
    const drawing = markdown.replace(/(\.md)?$/, ".svg")
    const image = `![Medians of dbjobq and of other job queues](${basename(drawing)})`
    const text = readFileSync(markdown, "utf8")
    writeFileSync(drawing, chart(results, selection))
    writeFileSync(
      markdown,
      fill(text, (name) => (name === "chart" ? image : part(results, name)))
    )
  }
  return {
    add: (machine, result) => {
      const known = new Map([...results.workloads, result].map((one) => [one.name, one]))
      results = {
        machine: { ...results.machine, ...machine },
        workloads: workloads.flatMap(({ name }) => known.get(name) ?? [])
      }
    },
    only: (names) => ({ ...results, workloads: results.workloads.filter(({ name }) => names.includes(name)) }),
    write: () => {
      mkdirSync(folder, { recursive: true })
      writeFileSync(file, `${JSON.stringify(results, undefined, 1)}\n`)
      writeFileSync(join(folder, "results.md"), document(results))
      writeFileSync(join(folder, "results.svg"), chart(results))
      if (into !== undefined) writeInto(given(into))
    }
  }
}
