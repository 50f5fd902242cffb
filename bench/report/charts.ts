// Charts as SVG text. Colours are set for light and dark by the reader's own preference, so that one file
// serves both; figures stand beside the marks, so that nothing must be read off an axis.

/** An SVG document. */
export type Chart = string

const STYLE = `
  :root { color-scheme: light dark }
  .ink { fill: #1f2430 } .soft { fill: #6a7282 } .ours { fill: #0f766e } .peer { fill: #a8b1c2 } .base { fill: #525c70 }
  .rule { stroke: #e3e7ee; stroke-width: 1 } .mark { stroke: #525c70; stroke-width: 1; stroke-dasharray: 3 3 }
  .whisker { stroke: #1f2430; stroke-opacity: .55; stroke-width: 1.5 }
  .line { fill: none; stroke-width: 2.25; stroke-linejoin: round; stroke-linecap: round }
  .l0 { stroke: #0f766e } .l1 { stroke: #b45309 } .l2 { stroke: #6d28d9 } .l3 { stroke: #525c70 }
  .d0 { fill: #0f766e } .d1 { fill: #b45309 } .d2 { fill: #6d28d9 } .d3 { fill: #525c70 }
  text { font: 13px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif }
  .title { font-size: 15px; font-weight: 600 } .small { font-size: 11.5px } .strong { font-weight: 600 }
  .num { font-variant-numeric: tabular-nums }
  @media (prefers-color-scheme: dark) {
    .ink { fill: #e6e9f0 } .soft { fill: #98a2b5 } .ours { fill: #2dd4bf } .peer { fill: #4b566b } .base { fill: #8b96ab }
    .rule { stroke: #2a3040 } .mark { stroke: #8b96ab } .whisker { stroke: #e6e9f0 }
    .l0 { stroke: #2dd4bf } .l1 { stroke: #fbbf24 } .l2 { stroke: #c4b5fd } .l3 { stroke: #98a2b5 }
    .d0 { fill: #2dd4bf } .d1 { fill: #fbbf24 } .d2 { fill: #c4b5fd } .d3 { fill: #98a2b5 }
  }`

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`)
}

function svg(width: number, height: number, title: string, parts: readonly string[]): Chart {
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(title)}">` +
    `<title>${escaped(title)}</title><style>${STYLE}\n</style>\n${parts.join('\n')}\n</svg>\n`
  )
}

export interface Bar {
  label: string
  value: number
  /** The spread, drawn as a whisker. */
  min?: number
  max?: number
  kind: 'ours' | 'peer' | 'base'
  /** Printed after the value. */
  note?: string
}

/** Horizontal bars, one a line, in the order given. `mark` draws a dashed line, such as the bare transport's. */
export function barChart(options: {
  title: string
  subtitle: string
  bars: readonly Bar[]
  mark?: number
  format: (value: number) => string
}): Chart {
  const { title, subtitle, bars, mark, format } = options
  // Room for the longest name, bold ones being wider.
  const widest = Math.max(...bars.map(({ label, kind }) => label.length * (kind === 'ours' ? 8.8 : 7.4)))
  const [left, right, top, step] = [Math.max(160, Math.ceil(widest) + 26), 112, 62, 28]
  const width = 760
  const height = top + bars.length * step + 14
  const span = width - left - right
  const highest = Math.max(
    ...bars.map(({ value, max }) => Math.max(value, Math.min(max ?? value, value * 1.6))),
    mark ?? 0,
  )
  const x = (value: number) => left + (Math.min(value, highest) / highest) * span
  const parts = [
    `<text x="16" y="26" class="ink title">${escaped(title)}</text>`,
    `<text x="16" y="45" class="soft small">${escaped(subtitle)}</text>`,
  ]
  bars.forEach(({ label, value, min, max, kind, note }, index) => {
    const y = top + index * step
    const middle = y + step / 2
    parts.push(
      `<text x="${left - 10}" y="${middle + 4.5}" text-anchor="end" class="ink${kind === 'ours' ? ' strong' : ''}">${escaped(label)}</text>`,
      `<rect x="${left}" y="${y + 5}" width="${Math.max(1, x(value) - left).toFixed(1)}" height="${step - 10}" rx="3" class="${kind}"/>`,
    )
    if (min !== undefined && max !== undefined) {
      parts.push(
        `<line x1="${x(min).toFixed(1)}" x2="${x(max).toFixed(1)}" y1="${middle}" y2="${middle}" class="whisker"/>`,
      )
    }
    const end = Math.max(x(value), max === undefined ? 0 : x(max))
    parts.push(
      `<text x="${(end + 8).toFixed(1)}" y="${middle + 4.5}" class="ink num${kind === 'ours' ? ' strong' : ''}">${escaped(format(value))}` +
        (note ? `<tspan class="soft small" dx="6">${escaped(note)}</tspan>` : '') +
        '</text>',
    )
  })
  if (mark !== undefined) {
    parts.push(
      `<line x1="${x(mark).toFixed(1)}" x2="${x(mark).toFixed(1)}" y1="${top - 4}" y2="${height - 10}" class="mark"/>`,
    )
  }
  return svg(width, height, title, parts)
}

export interface Series {
  label: string
  points: readonly (readonly [x: number, y: number])[]
}

/** Lines over logarithmic axes: proportional cost shows as the slope of the grid's diagonal, constant cost as a level. */
export function curveChart(options: {
  title: string
  subtitle: string
  series: readonly Series[]
  formatX: (value: number) => string
  formatY: (value: number) => string
}): Chart {
  const { title, subtitle, series, formatX, formatY } = options
  const [width, height, left, right, top, bottom] = [760, 330, 84, 190, 66, 40]
  const all = series.flatMap(({ points }) => points)
  const decades = (values: number[]): [number, number] => [
    Math.floor(Math.log10(Math.min(...values))),
    Math.max(Math.ceil(Math.log10(Math.max(...values))), Math.floor(Math.log10(Math.min(...values))) + 1),
  ]
  const [x0, x1] = decades(all.map(([x]) => x))
  const [y0, y1] = decades(all.map(([, y]) => y))
  const x = (value: number) => left + ((Math.log10(value) - x0) / (x1 - x0)) * (width - left - right)
  const y = (value: number) =>
    height - bottom - ((Math.log10(value) - y0) / (y1 - y0)) * (height - top - bottom)
  const parts = [
    `<text x="16" y="26" class="ink title">${escaped(title)}</text>`,
    `<text x="16" y="45" class="soft small">${escaped(subtitle)}</text>`,
  ]
  for (let decade = x0; decade <= x1; decade += 1) {
    const at = x(10 ** decade).toFixed(1)
    parts.push(
      `<line x1="${at}" x2="${at}" y1="${top}" y2="${height - bottom}" class="rule"/>`,
      `<text x="${at}" y="${height - bottom + 18}" text-anchor="middle" class="soft small num">${escaped(formatX(10 ** decade))}</text>`,
    )
  }
  for (let decade = y0; decade <= y1; decade += 1) {
    const at = y(10 ** decade).toFixed(1)
    parts.push(
      `<line x1="${left}" x2="${width - right}" y1="${at}" y2="${at}" class="rule"/>`,
      `<text x="${left - 8}" y="${Number(at) + 4}" text-anchor="end" class="soft small num">${escaped(formatY(10 ** decade))}</text>`,
    )
  }
  // Labels stand at the lines' ends, pushed apart where two lines end close together.
  let lowest = Number.NEGATIVE_INFINITY
  const ends = series
    .map(({ label, points }, index) => ({ label, index, at: y((points.at(-1) ?? [1, 1])[1]) }))
    .toSorted((a, b) => a.at - b.at)
  for (const end of ends) {
    lowest = Math.max(lowest + 17, end.at)
    parts.push(
      `<text x="${width - right + 12}" y="${(lowest + 4).toFixed(1)}" class="small d${end.index % 4}">${escaped(end.label)}</text>`,
    )
  }
  series.forEach(({ points }, index) => {
    const path = points.map(([px, py]) => `${x(px).toFixed(1)},${y(py).toFixed(1)}`).join(' ')
    parts.push(`<polyline points="${path}" class="line l${index % 4}"/>`)
    for (const [px, py] of points) {
      parts.push(`<circle cx="${x(px).toFixed(1)}" cy="${y(py).toFixed(1)}" r="3" class="d${index % 4}"/>`)
    }
  })
  return svg(width, height, title, parts)
}
