// A breaker's memory on its way between processes: what comes back from a file or a store is checked like any option.

import { checkOption, plainObject } from '../../core/options.ts'
import type { BreakerSnapshot } from './breakerMachine.ts'

const remaining = {
  expected: 'a number of milliseconds >= 0, or null',
  accepts: (value: unknown) => value === null || (Number.isFinite(value) && (value as number) >= 0),
}

/** @throws TypeError or RangeError naming the field that is wrong */
export function checkSnapshot(owner: string, name: string, value: unknown): asserts value is BreakerSnapshot {
  checkOption(owner, name, value, plainObject)
  const snapshot = value as BreakerSnapshot
  checkOption(owner, `${name}.state`, snapshot.state, '"CLOSED" or "OPEN"')
  checkOption(owner, `${name}.remainingMs`, snapshot.remainingMs, remaining)
  checkOption(owner, `${name}.openings`, snapshot.openings, 'a whole number >= 0')
}
