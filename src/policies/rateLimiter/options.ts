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
    api: Object.freeze({ tokensPerSecond: 20, burstCapacity: 30 }),
    heavy: Object.freeze({ tokensPerSecond: 5, burstCapacity: 10 }),
    streaming: Object.freeze({ tokensPerSecond: 100, burstCapacity: 150 }),
    control: Object.freeze({ tokensPerSecond: 10, burstCapacity: 15 }),
  })

export const limitRules: Rules<Limit> = {
  tokensPerSecond: positive,
  burstCapacity: `a number from 1 to ${Number.MAX_SAFE_INTEGER}`,
}

/**
 * A limit whose numbers are checked when they are set, at once and later.
 * @throws TypeError or RangeError naming the option
 */
export function checkedLimit(owner: string, name: string, given: unknown, base?: Readonly<Limit>): Limit {
  checkOption(owner, name, given, plainObject)
  const { tokensPerSecond = base?.tokensPerSecond, burstCapacity = base?.burstCapacity } =
    given as Partial<Limit>
  checkOption(owner, `${name}.tokensPerSecond`, tokensPerSecond, limitRules.tokensPerSecond)
  checkOption(owner, `${name}.burstCapacity`, burstCapacity, limitRules.burstCapacity)
  const values = { tokensPerSecond, burstCapacity } as Limit
  const limit = checkedView(`${owner} ${name}`, values, limitRules)
  checkedLimits.add(limit)
  return limit
}

const checkedLimits = new WeakSet<Readonly<Limit>>()

/** Whether this limit came from `checkedLimit`. */
export function isCheckedLimit(limit: Readonly<Limit>): boolean {
  return checkedLimits.has(limit)
}
