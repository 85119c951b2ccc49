/** Results as an SVG: a panel per workload and store, a bar per peer, a whisker from the lowest to the highest run. */
import { type Results, summarize } from "./results.js"
import { readable, type Summary } from "./stats.js"

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
  mysql: "MySQL",
  redis: "Redis",
  memory: "memory"
} as const

const width = 960
const gap = 24
const panelWidth = (width - 3 * gap) / 2
const labelWidth = 130
const valueWidth = 66
const barHeight = 18
const titleHeight = 44
const colours = { own: "#2563eb", raw: "#cbd5e1", peer: "#94a3b8", ink: "#0f172a", faint: "#475569" }

const panels = ({ workloads }: Results): ReadonlyArray<Panel> =>
  workloads.flatMap((workload) =>
    workload.metrics
      .filter(({ charted }) => charted)
      .flatMap((metric) =>
        Object.entries(storeTitles).flatMap(([store, title]): ReadonlyArray<Panel> => {
          const bars = workload.peers
            .filter((peer) => peer.store === store)
            .flatMap((peer): ReadonlyArray<Bar> => {
              const found = summarize(peer, metric)
              return found === undefined ? [] : [{ name: peer.name, ...found }]
            })
            .sort((a, b) => (metric.better === "higher" ? b.median - a.median : a.median - b.median))
          return bars.length < 2
            ? []
            : [
                {
                  title: `${title} · ${workload.title}`,
                  note: `${metric.title}, ${metric.better} is better`,
                  bars
                }
              ]
        })
      )
  )

const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

const text = (x: number, y: number, content: string, extra = "") =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${extra}>${escaped(content)}</text>`

const height = (panel: Panel) => titleHeight + panel.bars.length * (barHeight + 6) + gap

const colour = (name: string) =>
  name.startsWith("dbjobq") ? colours.own : name.startsWith("raw") ? colours.raw : colours.peer

const draw = (panel: Panel, left: number, top: number): string => {
  const longest = Math.max(...panel.bars.map(({ max }) => max))
  const start = left + labelWidth
  const scale = (value: number) => (value / longest) * (panelWidth - labelWidth - valueWidth)
  const bars = panel.bars.map((bar, index) => {
    const y = top + titleHeight + index * (barHeight + 6)
    const middle = y + barHeight / 2
    const weight = bar.name.startsWith("dbjobq") ? 'font-weight="600"' : ""
    return [
      text(start - 8, middle + 4, bar.name, `text-anchor="end" ${weight}`),
      `<rect x="${start}" y="${y}" width="${scale(bar.median).toFixed(1)}" height="${barHeight}" rx="2" fill="${colour(bar.name)}"/>`,
      `<path d="M${(start + scale(bar.min)).toFixed(1)} ${middle}H${(start + scale(bar.max)).toFixed(1)}" stroke="${colours.ink}" stroke-width="1.2"/>`,
      text(start + scale(bar.max) + 6, middle + 4, readable(bar.median), weight)
    ].join("\n")
  })
  return [
    text(left, top + 14, panel.title, 'font-weight="600"'),
    text(left, top + 31, panel.note, `fill="${colours.faint}" font-size="11"`),
    ...bars
  ].join("\n")
}

export const chart = (results: Results): string => {
  const columns = [0, 0]
  const drawn = panels(results).map((panel) => {
    const column = (columns[0] ?? 0) <= (columns[1] ?? 0) ? 0 : 1
    const top = columns[column] ?? 0
    columns[column] = top + height(panel)
    return draw(panel, gap + column * (panelWidth + gap), gap + top)
  })
  const total = Math.max(...columns) + gap
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${total}" width="${width}" height="${total}" font-family="system-ui, sans-serif" font-size="12" fill="${colours.ink}" role="img">`,
    "<title>dbjobq beside other job queues: medians, with a line from the lowest to the highest run</title>",
    `<rect width="${width}" height="${total}" fill="#ffffff"/>`,
    ...drawn,
    "</svg>\n"
  ].join("\n")
}
