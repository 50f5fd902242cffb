// Why something could not run, in a line that may stand in a report: no path of the machine, no stack.

export function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  const line = text.split('\n')[0] ?? ''
  return line.replace(/(file:\/\/)?\/[^\s'"]*\/(bench|node_modules)\//g, '').slice(0, 300)
}
