// Tables and figures as Markdown text.

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  // Names to the left, figures to the right.
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [
    line(head),
    `|${head.map((_, index) => (index === 0 ? '---' : '---:')).join('|')}|`,
    ...rows.map(line),
  ].join('\n')
}

/** A figure with about three digits that mean something: 1234567 -> 1,234,567; 12.3; 0.0123. */
export function figure(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return '-'
  const magnitude = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)))
  const decimals = Math.max(0, digits - 1 - magnitude)
  return value.toLocaleString('en-US', {
    minimumFractionDigits: Math.min(decimals, 3),
    maximumFractionDigits: Math.min(decimals, 3),
  })
}

export function bytes(value: number): string {
  return Math.abs(value) >= 10_000 ? `${figure(value / 1024)} KB` : `${figure(Math.round(value))} B`
}

export function ratio(value: number): string {
  return Number.isFinite(value) ? `${value.toFixed(2)} x` : '-'
}

/** "0.97 (0.93 to 1.02)" */
export function spread({ median, min, max }: { median: number; min: number; max: number }): string {
  return `${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})`
}

export function tick(held: boolean): string {
  return held ? 'yes' : 'no'
}
