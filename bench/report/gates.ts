// The gates: what was asked, what was aimed at, what came out.

import type { Gate } from '../sections/section.ts'
import { figure, table } from './markdown.ts'

export type Verdict = 'aim reached' | 'held' | 'MISSED' | 'not measured'

export function verdict({ bound, must, aim, measured }: Gate): Verdict {
  if (Number.isNaN(measured)) return 'not measured'
  const within = (limit: number) => (bound === 'max' ? measured <= limit : measured >= limit)
  if (within(aim)) return 'aim reached'
  return within(must) ? 'held' : 'MISSED'
}

export function gatesTable(gates: readonly Gate[]): string {
  const limit = (value: number, { bound, unit }: Gate) =>
    `${bound === 'max' ? '<=' : '>='} ${figure(value)}${unit && ` ${unit}`}`
  return table(
    ['figure', 'must', 'aim', 'measured', 'verdict'],
    gates.map((gate) => [
      gate.figure,
      limit(gate.must, gate),
      limit(gate.aim, gate),
      `${figure(gate.measured)}${gate.unit && ` ${gate.unit}`}`,
      verdict(gate),
    ]),
  )
}
