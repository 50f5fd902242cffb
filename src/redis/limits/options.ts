// The options of a shared limiter: meaning, defaults, checks.

import type { Clock } from '../../core/clock.ts'
import {
  callable,
  checkOption,
  checkOptions,
  clockRule,
  flag,
  interval,
  optionError,
  type Rules,
  share,
  withDefaults,
} from '../../core/options.ts'
import { type Random, systemRandom } from '../../core/random.ts'
import { systemClock } from '../../core/systemClock.ts'
import type { Limit } from '../../policies/rateLimiter/options.ts'
import { limitRules } from '../../policies/rateLimiter/options.ts'
import { engineRule } from '../EngineCalls.ts'
import type { EngineError } from '../EngineError.ts'
import type { RedisEngine } from '../RedisEngine.ts'

/** `shared`: the engine decides. `insured`: it is away, and the process keeps to its share alone. `joining`: not heard of it yet. */
export type SharedLimiterState = 'joining' | 'shared' | 'insured'

export interface SharedRateLimiterOptions extends Limit {
  /** Made by `fromIoredis`, `fromNodeRedis` or `fromGlide`. */
  engine: RedisEngine
  /** Whose limit it is: all processes that say the same name share one bucket, and must say the same limit. */
  name: string
  /** What the engine's keys begin with. @default 'guru' */
  prefix?: string
  /** What `execute` does over the limit: rejects, or waits for its turn. @default 'reject' */
  mode?: 'reject' | 'wait'
  /**
   * How long tokens that were lent to a process count as its own without a word from it, in milliseconds. A word is said every
   * third of that; a process that is silent for three times as long counts as gone. @default 3000
   */
  lease?: number
  /** Milliseconds until a silent engine counts as away. @default 500 */
  timeout?: number
  /**
   * The part of the limit that this process may spend while the engine is away, from 0 to 1.
   * @default one of as many as there were processes; a tenth before the engine has ever answered
   */
  insuranceShare?: number
  /** Told of every change; `error` says why the engine is away. */
  onChange?: (state: SharedLimiterState, error: EngineError | undefined) => void
  /** Whether waiting calls let the process end. @default false */
  unref?: boolean
  clock?: Clock
  random?: Random
}

export const sharedLimiterDefaults = {
  prefix: 'guru',
  mode: 'reject' as 'reject' | 'wait',
  lease: 3000,
  timeout: 500,
  unref: false,
  clock: systemClock,
  random: systemRandom,
}

/** The rule of names and prefixes. */
export const nameRule = {
  expected: 'a string of 1 to 200 characters',
  accepts: (value: unknown) => typeof value === 'string' && value.length > 0 && value.length <= 200,
}

export const sharedLimiterRules: Rules<SharedRateLimiterOptions> = {
  engine: engineRule,
  name: nameRule,
  prefix: nameRule,
  tokensPerSecond: `a number above 0, at most ${Number.MAX_SAFE_INTEGER}`,
  burstCapacity: limitRules.burstCapacity,
  mode: '"reject" or "wait"',
  lease: 'a number of milliseconds from 100 to 3600000',
  timeout: interval,
  insuranceShare: share,
  onChange: callable,
  unref: flag,
  clock: clockRule,
  random: callable,
}

export type ResolvedSharedLimiterOptions = SharedRateLimiterOptions & typeof sharedLimiterDefaults

const OWNER = 'SharedRateLimiter'

/** @throws TypeError or RangeError naming the option */
export function resolveSharedLimiterOptions(options: SharedRateLimiterOptions): ResolvedSharedLimiterOptions {
  checkOptions(OWNER, options, sharedLimiterRules)
  for (const needed of ['engine', 'name', 'tokensPerSecond', 'burstCapacity'] as const)
    checkOption(OWNER, needed, options[needed], sharedLimiterRules[needed])
  const resolved = withDefaults(sharedLimiterDefaults, options) as ResolvedSharedLimiterOptions
  // A lease would be over before it is known that nobody answers.
  if (resolved.timeout > resolved.lease)
    throw optionError(
      OWNER,
      'timeout',
      `must be a number of milliseconds, at most "lease" (${resolved.lease})`,
      resolved.timeout,
    )
  return resolved
}
