/** Results as Markdown. */
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
  const heads = ["peer", ...result.metrics.flatMap(({ title }) => [title, "dbjobq"]), "finished rows", "verified"]
  return [
    `### ${result.title}`,
    "",
    `\`${result.name}\` · ${result.about}`,
    "",
    row(heads),
    row(["---", ...result.metrics.flatMap(() => ["---:", "---:"]), "---", "---"]),
    ...asked.map((peer) =>
      row([
        peer.name,
        ...result.metrics.flatMap((metric) => [cell(peer, metric), times(ratio(result, peer, metric))]),
        peer.finishedRows,
        status(peer)
      ])
    ),
    "",
    `${result.sizes}.${left.length > 0 ? ` Left out: ${left.join("; ")}.` : ""}`,
    ...errors.map((error) => `\nFailed: ${error.split("\n")[0]}`)
  ].join("\n")
}

const settings = ({ workloads }: Results): string => {
  const peers = new Map(workloads.flatMap(({ peers }) => peers.map((peer) => [peer.name, peer] as const)))
  return [
    "### Settings",
    "",
    row(["peer", "store", "settings", "durability", "finished rows"]),
    row(["---", "---", "---", "---", "---"]),
    ...[...peers.values()].map((peer) =>
      row([peer.name, peer.store, peer.settings, peer.durability, peer.finishedRows])
    )
  ].join("\n")
}

const legend =
  "Median (lowest–highest) of the rounds, peers taken in turn, a fresh process each. The column *dbjobq* says how many times better dbjobq is on the same store at the same durability: above 1× it is ahead. *Verified* counts the runs after which the store itself showed every job done exactly once; a *cut* run was stopped at the time limit, and its rate is that of the part done."

export const document = (results: Results): string =>
  `${[legend, results.machine.map((line) => `- ${line}`).join("\n"), ...results.workloads.map(workloadTable), settings(results)].join("\n\n")}\n`
