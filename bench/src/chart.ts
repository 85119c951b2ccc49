/** Results as an SVG: a panel per workload and store, a bar per peer, a whisker from the lowest to the highest run. */
import { type Results, summarize } from "./results.js"
import { readable, type Summary } from "./stats.js"

/** What a chart shows; without one, everything that is worth a chart. */
export interface Selection {
  /** `workload.metric`, in this order. */
  readonly metrics: ReadonlyArray<string>
  readonly peers: ReadonlyArray<string>
}

interface Bar extends Summary {
  readonly name: string
}

interface Panel {
  readonly title: string
  readonly note: string
  readonly bars: ReadonlyArray<Bar>
}

const storeTitles = {
  postgres: "PostgreSQL",
  sqlite: "SQLite",
  redis: "Redis",
  mysql: "MySQL",
  memory: "memory"
} as const

const width = 860
const gap = 20
const panelWidth = (width - 3 * gap) / 2
const labelWidth = 128
const valueWidth = 58
const barHeight = 14
const rowHeight = 19
const titleHeight = 40

/** It has a ground of its own, so that it can be read on any page; readers who like dark pages get a dark one. */
const style = `
text { fill: #1f2328; font: 12px system-ui, sans-serif }
.title, text.own { font-weight: 600 }
text.note { fill: #59636e; font-size: 11px }
.end { text-anchor: end }
rect.own { fill: #2563eb } rect.peer { fill: #94a3b8 } rect.raw { fill: #cbd5e1 }
.ground { fill: #ffffff; stroke: #d1d9e0 }
.range { stroke: #1f2328 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } text.note { fill: #9198a1 }
  rect.own { fill: #4c8dff } rect.peer { fill: #64748b } rect.raw { fill: #3d4756 }
  .ground { fill: #0d1117; stroke: #3d444d }
  .range { stroke: #f0f6fc }
}
`

const chosen = ({ workloads }: Results, selection: Selection | undefined) => {
  const all = workloads.flatMap((workload) =>
    workload.metrics
      .filter(({ charted }) => charted === true)
      .map((metric) => ({ workload, metric, key: `${workload.name}.${metric.key}` }))
  )
  return selection === undefined ? all : selection.metrics.flatMap((key) => all.filter((one) => one.key === key))
}

const panels = (results: Results, selection: Selection | undefined): ReadonlyArray<Panel> =>
  chosen(results, selection).flatMap(({ metric, workload }) =>
    Object.entries(storeTitles).flatMap(([store, title]): ReadonlyArray<Panel> => {
      const bars = workload.peers
        .filter((peer) => peer.store === store && (selection === undefined || selection.peers.includes(peer.name)))
        .flatMap((peer): ReadonlyArray<Bar> => {
          const found = summarize(peer, metric)
          return found === undefined ? [] : [{ name: peer.name, ...found }]
        })
        .sort((a, b) => (metric.better === "higher" ? b.median - a.median : a.median - b.median))
      return bars.length < 2
        ? []
        : [{ title: `${title} · ${workload.title}`, note: `${metric.title}, ${metric.better} is better`, bars }]
    })
  )

const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

const at = (value: number) => String(Math.round(value * 10) / 10)

const text = (x: number, y: number, content: string, kind = "") =>
  `<text x="${at(x)}" y="${at(y)}"${kind === "" ? "" : ` class="${kind}"`}>${escaped(content)}</text>`

const height = (panel: Panel) => titleHeight + panel.bars.length * rowHeight + gap

const kindOf = (name: string) => (name.startsWith("dbjobq") ? "own" : name.startsWith("raw") ? "raw" : "peer")

const draw = (panel: Panel, left: number, top: number): string => {
  const longest = Math.max(...panel.bars.map(({ max }) => max))
  const start = left + labelWidth
  const scale = (value: number) => (value / longest) * (panelWidth - labelWidth - valueWidth)
  const bars = panel.bars.map((bar, index) => {
    const y = top + titleHeight + index * rowHeight
    const middle = y + barHeight / 2
    const kind = kindOf(bar.name)
    const weight = kind === "own" ? "own" : ""
    return [
      text(start - 6, middle + 4, bar.name, `end ${weight}`.trim()),
      `<rect x="${at(start)}" y="${at(y)}" width="${at(Math.max(1, scale(bar.median)))}" height="${barHeight}" rx="2" class="${kind}"/>`,
      bar.max > bar.min
        ? `<path d="M${at(start + scale(bar.min))} ${at(middle)}H${at(start + scale(bar.max))}" class="range"/>`
        : "",
      text(start + scale(bar.max) + 5, middle + 4, readable(bar.median), weight)
    ].join("")
  })
  return [text(left, top + 12, panel.title, "title"), text(left, top + 28, panel.note, "note"), ...bars].join("\n")
}

export const chart = (results: Results, selection?: Selection): string => {
  const columns = [0, 0]
  const drawn = panels(results, selection).map((panel) => {
    const column = (columns[0] ?? 0) <= (columns[1] ?? 0) ? 0 : 1
    const top = columns[column] ?? 0
    columns[column] = top + height(panel)
    return draw(panel, gap + column * (panelWidth + gap), gap + top)
  })
  const total = Math.max(...columns) + gap
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${total}" width="${width}" height="${total}" role="img">`,
    "<title>dbjobq beside other job queues: medians, with a line from the lowest to the highest run</title>",
    `<style>${style}</style>`,
    `<rect x="0.5" y="0.5" width="${width - 1}" height="${total - 1}" rx="6" class="ground"/>`,
    ...drawn,
    "</svg>\n"
  ].join("\n")
}
