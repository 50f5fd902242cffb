// A breaker's memory on its way between processes: what comes back from a file or a store is checked like any option.

import { checkOption, duration, numberRule, oneOf, plainObject } from '../../core/options.ts'
import type { BreakerSnapshot } from './breakerMachine.ts'

const openings = numberRule(0, Number.MAX_SAFE_INTEGER, '', true)
const remaining = {
  expected: `${duration.expected}, or null`,
  accepts: (value: unknown) =>
    value === null || (duration.accepts(value) && value !== Number.POSITIVE_INFINITY),
}

/** @throws TypeError or RangeError naming the field that is wrong */
export function checkSnapshot(owner: string, name: string, value: unknown): asserts value is BreakerSnapshot {
  checkOption(owner, name, value, plainObject)
  const snapshot = value as BreakerSnapshot
  checkOption(owner, `${name}.state`, snapshot.state, oneOf('CLOSED', 'OPEN'))
  checkOption(owner, `${name}.remainingMs`, snapshot.remainingMs, remaining)
  checkOption(owner, `${name}.openings`, snapshot.openings, openings)
}
