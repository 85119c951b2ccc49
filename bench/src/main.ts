/** The command line of the bench. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { chart } from "./chart.js"
import { machine } from "./machine.js"
import { peers } from "./peers/index.js"
import { type Results, read } from "./results.js"
import { destroyAll, run } from "./run.js"
import { document, workloadTable } from "./table.js"
import { workloads } from "./workloads/index.js"

const help = `npm run bench -- [options]

  --workload <names>  comma-separated; a name takes all that begin with it and a dash. Default all:
                      ${workloads.map(({ name }) => name).join(" ")}
  --peers <names>     likewise. Default all:
                      ${peers.map(({ name }) => name).join(" ")}
  --rounds <n>        times each peer is measured, in turn. Default 5
  --jobs <n>          jobs of a drain (five times as many for memory). Default 20000
  --history <n>       finished rows of growth; half as many pending and scheduled. Default 1000000
  --samples <n>       jobs of a latency run. Default 150
  --idle <s>          seconds an idle worker is watched. Default 30
  --limit <s>         a drain or latency run is cut after so long. Default 30
  --out <folder>      where results.json, results.md and results.svg are written, or extended by these workloads.
                      Default bench/results

Servers: BENCH_PG_URL (default postgres://postgres@127.0.0.1:5432/test; databases are made and dropped there),
BENCH_MYSQL_URL (default mysql://root@127.0.0.1:3306/; likewise), BENCH_REDIS_URL (default redis://127.0.0.1:6379).`

const { values } = parseArgs({
  options: {
    workload: { type: "string", default: "" },
    peers: { type: "string", default: "" },
    rounds: { type: "string", default: "5" },
    jobs: { type: "string", default: "20000" },
    history: { type: "string", default: "1000000" },
    samples: { type: "string", default: "150" },
    idle: { type: "string", default: "30" },
    limit: { type: "string", default: "30" },
    out: { type: "string" },
    help: { type: "boolean", default: false }
  }
})

/** Every name asked for must mean something. */
const select = <A extends { readonly name: string }>(all: ReadonlyArray<A>, wanted: string): ReadonlyArray<A> => {
  const names = wanted.split(",").filter((name) => name !== "")
  if (names.length === 0) return all
  const chosen = names.flatMap((wish) => {
    const found = all.filter(({ name }) => name === wish || name.startsWith(`${wish}-`))
    if (found.length === 0)
      throw new Error(`nothing is called ${wish}; there are ${all.map(({ name }) => name).join(", ")}`)
    return found
  })
  return all.filter((item) => chosen.includes(item))
}

const count = (name: "rounds" | "jobs" | "history" | "samples" | "idle" | "limit"): number => {
  const value = Number(values[name])
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a whole number above 0`)
  return value
}

const log = (line: string) => process.stderr.write(`${line}\n`)

const main = async () => {
  const chosen = select(peers, values.peers)
  const sizes = {
    jobs: count("jobs"),
    history: count("history"),
    samples: count("samples"),
    idle: count("idle"),
    limit: count("limit")
  }
  // npm runs this in bench/; a folder given is meant from where npm was called
  const out =
    values.out === undefined
      ? fileURLToPath(new URL("../results", import.meta.url))
      : resolve(process.env["INIT_CWD"] ?? ".", values.out)
  const file = join(out, "results.json")
  let done = read(file)
  const where = await machine(chosen.map(({ store }) => store))
  mkdirSync(out, { recursive: true })
  for (const workload of select(workloads, values.workload)) {
    const result = await run(workload, { peers: chosen, rounds: count("rounds"), sizes, log })
    process.stdout.write(`${workloadTable(result)}\n\n`)
    const known = new Map([...done, result].map((one) => [one.name, one]))
    done = workloads.flatMap(({ name }) => known.get(name) ?? [])
    const results: Results = { machine: where, workloads: done }
    writeFileSync(file, `${JSON.stringify(results, undefined, 1)}\n`)
    writeFileSync(join(out, "results.md"), document(results))
    writeFileSync(join(out, "results.svg"), chart(results))
  }
  log(`written to ${out}`)
  return done.some(({ peers }) => peers.some(({ errors }) => errors.length > 0)) ? 1 : 0
}

const interrupted = () => {
  void destroyAll().finally(() => process.exit(130))
}

if (values.help) {
  process.stdout.write(`${help}\n`)
} else {
  process.on("SIGINT", interrupted)
  process.on("SIGTERM", interrupted)
  process.exitCode = await main()
}
