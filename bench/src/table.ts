/** Results as Markdown. */
import { barsTable } from "./bars.js"
import { type PeerResult, type Results, ratio, summarize, type WorkloadResult } from "./results.js"
import { readable } from "./stats.js"
import type { Metric } from "./workload.js"

const row = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`

const cell = (peer: PeerResult, metric: Metric): string => {
  const found = summarize(peer, metric)
  return found === undefined ? "–" : `${readable(found.median)} (${readable(found.min)}–${readable(found.max)})`
}

const times = (value: number | undefined): string => (value === undefined ? "" : `${value.toFixed(2)}×`)

const status = (peer: PeerResult): string => {
  const whole = peer.runs.filter(({ cut }) => cut !== true).length
  const all = peer.runs.length + peer.errors.length
  const cut = peer.runs.length - whole
  return [`${whole}/${all}`, ...(cut > 0 ? [`${cut} cut`] : []), ...(peer.errors.length > 0 ? ["FAILED"] : [])].join(
    ", "
  )
}

export const workloadTable = (result: WorkloadResult): string => {
  const asked = result.peers.filter(({ excluded }) => excluded === undefined)
  const left = result.peers.flatMap(({ name, excluded }) => (excluded === undefined ? [] : [`${name} ${excluded}`]))
  const errors = [...new Set(asked.flatMap((peer) => peer.errors))]
  // a ratio beside each number would make the table too wide to read
  const cells = (metric: Metric, value: string, ratio: string) => (metric.charted === true ? [value, ratio] : [value])
  const heads = [
    "peer",
    ...result.metrics.flatMap((metric) => cells(metric, metric.title, "dbjobq")),
    "rows",
    "verified"
  ]
  return [
    row(heads),
    row(["---", ...result.metrics.flatMap((metric) => cells(metric, "---:", "---:")), "---", "---"]),
    ...asked.map((peer) =>
      row([
        peer.name,
        ...result.metrics.flatMap((metric) => cells(metric, cell(peer, metric), times(ratio(result, peer, metric)))),
        peer.finishedRows,
        status(peer)
      ])
    ),
    "",
    `\`${result.name}\`, ${result.sizes}.${left.length > 0 ? ` Left out: ${left.join("; ")}.` : ""}`,
    ...errors.map((error) => `\nFailed: ${error.split("\n")[0]}`)
  ].join("\n")
}

/** The same with its heading and what it means. */
export const workloadSection = (result: WorkloadResult): string =>
  [`### ${result.title}`, result.about, workloadTable(result)].join("\n\n")

export const settingsTable = ({ workloads }: Results): string => {
  const peers = new Map(workloads.flatMap(({ peers }) => peers.map((peer) => [peer.name, peer] as const)))
  return [
    row(["peer", "store", "settings", "durability", "finished rows"]),
    row(["---", "---", "---", "---", "---"]),
    ...[...peers.values()].map((peer) =>
      row([peer.name, peer.store, peer.settings, peer.durability, peer.finishedRows])
    )
  ].join("\n")
}

export const legend =
  "Median (lowest–highest) of the rounds, peers taken in turn, a fresh process each. The column *dbjobq* says how many times better dbjobq is on the same store at the same durability: above 1× it is ahead. *Verified* counts the runs after which the store itself showed every job done exactly once; a *cut* run was stopped at the time limit, and its rate is that of the part done."

export const machineList = ({ machine }: Results): string =>
  Object.values(machine)
    .map((line) => `- ${line}`)
    .join("\n")

export const document = (results: Results): string =>
  `${[
    legend,
    machineList(results),
    ...results.workloads.map(workloadSection),
    "### Bars",
    barsTable(results),
    "### Settings",
    settingsTable(results)
  ].join("\n\n")}\n`

/** What a region of a Markdown file holds; a workload's heading and words are the file's own. */
export const part = (results: Results, name: string): string | undefined => {
  if (results.workloads.length === 0) return undefined
  if (name === "legend") return legend
  if (name === "machine") return machineList(results)
  if (name === "bars") return barsTable(results)
  if (name === "settings") return settingsTable(results)
  const found = results.workloads.find((workload) => workload.name === name)
  return found === undefined ? undefined : workloadTable(found)
}
