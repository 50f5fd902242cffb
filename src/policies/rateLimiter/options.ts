// The limits of a rate limiter: meaning, defaults, checks.

import { checkedView, checkOption, plainObject, positive, type Rules } from '../../core/options.ts'

/** A token bucket's two numbers. */
export interface Limit {
  /** Tokens that come back per second: the steady rate. */
  tokensPerSecond: number
  /** The most tokens it holds: how many calls may come at once. */
  burstCapacity: number
}

/** Limits by category. */
export type Limits = Record<string, Limit>

/** The categories every limiter knows. */
export const DEFAULT_LIMITS: Readonly<Record<'api' | 'heavy' | 'streaming' | 'control', Readonly<Limit>>> =
  Object.freeze({
    api: limitOf(20, 30),
    heavy: limitOf(5, 10),
    streaming: limitOf(100, 150),
    control: limitOf(10, 15),
  })

function limitOf(tokensPerSecond: number, burstCapacity: number): Readonly<Limit> {
  return Object.freeze({ tokensPerSecond, burstCapacity })
}

export const limitRules: Rules<Limit> = {
  tokensPerSecond: positive,
  burstCapacity: `a number from 1 to ${Number.MAX_SAFE_INTEGER}`,
}

const checkedLimits = new WeakSet<Readonly<Limit>>()

/**
 * A limit whose numbers are checked when they are set, at once and later.
 * @throws TypeError or RangeError naming the option
 */
export function checkedLimit(
  owner: string,
  name: string,
  given: Partial<Limit>,
  base?: Readonly<Limit>,
): Limit {
  checkOption(owner, name, given, plainObject)
  const values = {} as Limit
  for (const key of ['tokensPerSecond', 'burstCapacity'] as const) {
    const value = given[key] ?? base?.[key]
    checkOption(owner, `${name}.${key}`, value, limitRules[key])
    values[key] = value as number
  }
  const limit = checkedView(`${owner} ${name}`, values, limitRules)
  checkedLimits.add(limit)
  return limit
}

/** Whether this limit came from `checkedLimit`. */
export function isCheckedLimit(limit: Readonly<Limit>): boolean {
  return checkedLimits.has(limit)
}
