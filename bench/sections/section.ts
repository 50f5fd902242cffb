// What a section of the benchmark is: it measures, giving plain data that is kept as JSON; and it tells,
// turning such data, fresh or from an earlier run, into Markdown, charts and gates.

import type { Chart } from '../report/charts.ts'

export interface Context {
  quick: boolean
  /** Contestants to run; empty means all. */
  only: readonly string[]
  /** Seed of the order of turns, printed in the report. */
  seed: number
  /** A git revision to compare with, where a section can. */
  compare: string | undefined
  log(line: string): void
}

/** One line of the table of gates. */
export interface Gate {
  figure: string
  /** What was asked at the least, and what was aimed at: `max` when less is better, `min` when more is. */
  bound: 'max' | 'min'
  must: number
  aim: number
  measured: number
  unit: string
}

export interface Telling {
  markdown: string
  charts: Record<string, Chart>
  gates: Gate[]
}

export interface Section<Data = unknown> {
  readonly name: string
  readonly title: string
  measure(context: Context): Promise<Data>
  tell(data: Data): Telling
}
