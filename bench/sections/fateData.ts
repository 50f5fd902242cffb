// The faults of the section `fate`, and the figures it keeps.

import type { Fate } from '../harness/judge.ts'

export const faults = {
  none: 'no fault',
  cutUp: 'cut while the client sends',
  cutDown: 'cut while the server sends',
  death: 'server killed while the client sends, back after 1 s',
  blackhole: 'everything swallowed for 15 s',
  clientAlone: 'half-open: only the server hears of the end',
  serverAlone: 'half-open: only the client hears of the end',
} as const

export type Fault = keyof typeof faults

export type Way = 'up' | 'down'

export interface FateData {
  fates: Record<string, Record<Way, Omit<Fate, 'lostAt'>>>
  /** Lost messages of both ways, by the fault they were sent under or after. */
  lostBy: Record<string, Record<Fault, number>>
  /** How often each fault was done to everyone. */
  script: Record<Fault, number>
  /** Who had not noticed a half-open line by then was told, in milliseconds. */
  patienceMs: number
  failures: Record<string, string>
}
