// A breaker's memory on its way between processes: what comes back from a file or a store is checked like any option.

import { checkOption, plainObject, type Rules } from '../../core/options.ts'
import type { BreakerSnapshot } from './breakerMachine.ts'

const rules: Rules<BreakerSnapshot> = {
  state: '"CLOSED" or "OPEN"',
  remainingMs: `a number of milliseconds from 0 to ${Number.MAX_SAFE_INTEGER} or null`,
  openings: 'a whole number >= 0',
}

/** @throws TypeError or RangeError naming the field that is wrong */
export function checkSnapshot(owner: string, name: string, value: unknown): asserts value is BreakerSnapshot {
  checkOption(owner, name, value, plainObject)
  for (const field of Object.keys(rules) as (keyof BreakerSnapshot)[])
    checkOption(owner, `${name}.${field}`, (value as BreakerSnapshot)[field], rules[field])
}
