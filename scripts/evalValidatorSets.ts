// The labelled texts that the validator is measured with, and how figures are printed.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Sample {
  readonly text: string
  readonly cat: string
  readonly tier: string
  readonly source: string
}

export const XSS = { noXss: true } as const
export const SQL = { noSqlInjection: true } as const
export const BOTH = { noXss: true, noSqlInjection: true } as const

/** One {text, ...} a line. */
export function loadLines(path: string): Sample[] {
  const lines = readFileSync(path, 'utf8').split('\n')
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Sample)
}

export function load(directory: string, name: 'xss' | 'sqli' | 'benign'): Sample[] {
  return loadLines(join(directory, `${name}.jsonl`))
}

/** Where a sample comes from, without the file within it: `PATT-SQL`, for its mutations too. */
export function sourceOf({ source }: Sample): string {
  return source.replace(/^mut</, '').replace(/:.*$/, '')
}

export function percent(part: number, whole: number): string {
  return `${whole === 0 ? '   -' : `${((100 * part) / whole).toFixed(2)} %`} (${part} of ${whole})`
}

export function print(label: string, value: string): void {
  console.log(`  ${label.padEnd(34)} ${value}`)
}
