/** The command line of the bench. */
import { parseArgs } from "node:util"
import { measure } from "./measure.js"
import { output } from "./output.js"
import { peers } from "./peers/index.js"
import { destroyAll } from "./run.js"
import { select, selectOrAll } from "./select.js"
import { sets } from "./sets.js"
import { workloads } from "./workloads/index.js"

const names = (all: ReadonlyArray<{ readonly name: string }>) => all.map(({ name }) => name).join(" ")

const help = `npm run bench -- [options]

  --workload <names>  comma-separated; a name that nothing has takes all that begin with it and a dash. Default all:
                      ${names(workloads)}
  --peers <names>     likewise. Default all:
                      ${names(peers)}
  --set <name>        the workloads of a set with the peers it names for each, as far as the two options above have them:
                      ${names(sets)}
  --rounds <n>        times each peer is measured, in turn. Default 5; a set may do with fewer
  --jobs <n>          jobs of a drain (five times as many for memory). Default 20000
  --history <n>       finished rows of growth; half as many pending and scheduled. Default 1000000
  --samples <n>       jobs of a latency run. Default 150
  --idle <s>          seconds an idle worker is watched. Default 30
  --limit <s>         a drain or latency run is cut after so long. Default 30
  --out <folder>      where results.json, results.md and results.svg are written, or extended by these workloads.
                      Default bench/results
  --into <file>       a Markdown file whose regions (<!-- bench:drain-10 -->) are filled with all results there are; the
                      set's chart is written beside it
  --render            measure nothing, write the files again

Servers: BENCH_PG_URL (default postgres://postgres@127.0.0.1:5432/test; databases are made and dropped there),
BENCH_MYSQL_URL (default mysql://root@127.0.0.1:3306/; likewise), BENCH_REDIS_URL (default redis://127.0.0.1:6379).`

const { values } = parseArgs({
  options: {
    workload: { type: "string", default: "" },
    peers: { type: "string", default: "" },
    set: { type: "string" },
    rounds: { type: "string", default: "5" },
    jobs: { type: "string", default: "20000" },
    history: { type: "string", default: "1000000" },
    samples: { type: "string", default: "150" },
    idle: { type: "string", default: "30" },
    limit: { type: "string", default: "30" },
    out: { type: "string" },
    into: { type: "string" },
    render: { type: "boolean", default: false },
    help: { type: "boolean", default: false }
  }
})

const count = (name: "rounds" | "jobs" | "history" | "samples" | "idle" | "limit"): number => {
  const value = Number(values[name])
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a whole number above 0`)
  return value
}

const main = async (): Promise<number> => {
  const rounds = count("rounds")
  const sizes = {
    jobs: count("jobs"),
    history: count("history"),
    samples: count("samples"),
    idle: count("idle"),
    limit: count("limit")
  }
  const [set] = values.set === undefined ? [] : select(sets, [values.set])
  const chosenWorkloads = selectOrAll(workloads, values.workload)
  const chosenPeers = selectOrAll(peers, values.peers)
  const parts = (set?.parts ?? [{ workloads: workloads.map(({ name }) => name), peers: peers.map(({ name }) => name) }])
    .map((part) => ({
      workloads: select(workloads, part.workloads).filter((workload) => chosenWorkloads.includes(workload)),
      peers: select(peers, part.peers).filter((peer) => chosenPeers.includes(peer)),
      rounds: Math.min(rounds, part.rounds ?? rounds)
    }))
    .filter((part) => part.workloads.length > 0 && part.peers.length > 0)
  const results = output({ out: values.out, into: values.into, chart: set?.chart })
  if (values.render) {
    results.write()
    return 0
  }
  return (await measure(parts, sizes, results)) ? 0 : 1
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
