// A breaker's memory on its way between processes: what comes back from a file or a store is checked like any option.

import { checkOption, plainObject, type Rules } from '../../core/options.ts'
import type { BreakerCounts, BreakerSnapshot } from './breakerMachine.ts'

const rules: Rules<Omit<BreakerSnapshot, 'counts'>> = {
  state: '"CLOSED" or "OPEN"',
  remainingMs: `a number of milliseconds from 0 to ${Number.MAX_SAFE_INTEGER} or null`,
  openings: 'a whole number >= 0',
}

const wholeCount = `a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`
const countRules: Rules<BreakerCounts> = {
  calls: wholeCount,
  failed: wholeCount,
  slow: wholeCount,
  consecutive: wholeCount,
}

/** @throws TypeError or RangeError naming the field that is wrong */
export function checkSnapshot(owner: string, name: string, value: unknown): asserts value is BreakerSnapshot {
  checkOption(owner, name, value, plainObject)
  for (const field of Object.keys(rules) as (keyof typeof rules)[])
    checkOption(owner, `${name}.${field}`, (value as BreakerSnapshot)[field], rules[field])
  const { counts } = value as BreakerSnapshot
  if (counts === undefined) return
  checkOption(owner, `${name}.counts`, counts, plainObject)
  for (const field of Object.keys(countRules) as (keyof BreakerCounts)[])
    checkOption(owner, `${name}.counts.${field}`, counts[field], countRules[field])
}
