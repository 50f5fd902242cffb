// The options of retrying: meaning, defaults, checks.

import { callable, count, delay, duration, type Rule, type Rules, withDefaults } from '../../core/options.ts'
import type { Backoff, JitterRange } from '../backoff.ts'
import { jitterRanges } from '../backoff.ts'
import type { RetryBudget } from './retryBudget.ts'

/** How delays are spread: see `jitterRanges`; `decorrelated` draws each from the one before. */
export type Jitter = 'none' | 'full' | 'equal' | 'decorrelated' | JitterRange

export interface RetryOptions {
  /** How many times to try again after the first attempt. @default 2 */
  retries?: number | undefined
  /** Delay before the first retry, in milliseconds; it doubles from retry to retry. @default 500 */
  retryDelay?: number | undefined
  /** The longest backoff, jitter included, in milliseconds. @default 30000 */
  maxRetryDelay?: number | undefined
  /** The spread of the delays. @default [1, 1.5]: up to half of the delay is added */
  jitter?: Jitter | undefined
  /** A server that asks to wait longer than this (`Retry-After`) is not retried, in milliseconds. @default 60000 */
  maxRetryAfter?: number | undefined
  /** Has the last word on an error that would be retried; return false to give up. */
  shouldRetry?: ((error: unknown, attempt: number) => boolean | PromiseLike<boolean>) | undefined
  /** Shared between calls: how many retries they may afford together. @default none */
  budget?: RetryBudget | undefined
}

/** Options with every gap filled. */
export interface ResolvedRetryOptions {
  retries: number
  retryDelay: number
  maxRetryDelay: number
  jitter: Jitter
  maxRetryAfter: number
  shouldRetry: ((error: unknown, attempt: number) => boolean | PromiseLike<boolean>) | undefined
  budget: RetryBudget | undefined
}

export const retryDefaults: ResolvedRetryOptions = {
  retries: 2,
  retryDelay: 500,
  maxRetryDelay: 30_000,
  jitter: [1, 1.5],
  maxRetryAfter: 60_000,
  shouldRetry: undefined,
  budget: undefined,
}

export const jitterRule: Rule = {
  expected: '"none" or "full" or "equal" or "decorrelated" or [low, high] with 0 <= low <= high',
  accepts: (value) =>
    Array.isArray(value)
      ? value.length === 2 && value[0] >= 0 && value[0] <= value[1] && value[1] < Infinity
      : value === 'decorrelated' || Object.hasOwn(jitterRanges, value as string),
}

export const retryRules: Rules<RetryOptions> = {
  retries: count,
  retryDelay: delay,
  maxRetryDelay: delay,
  jitter: jitterRule,
  maxRetryAfter: duration,
  shouldRetry: callable,
  budget: {
    expected: 'a RetryBudget',
    accepts: (value) => typeof (value as RetryBudget | null)?.tryWithdraw === 'function',
  },
}

/** Options that have been checked, with every gap filled. */
export function resolveRetryOptions(options: RetryOptions): ResolvedRetryOptions {
  return withDefaults(retryDefaults, options)
}

/** The backoff that these options describe. */
export function retryBackoff(
  options: Pick<ResolvedRetryOptions, 'retryDelay' | 'maxRetryDelay' | 'jitter'>,
): Backoff {
  const { jitter } = options
  return {
    baseMs: options.retryDelay,
    factor: 2,
    maxMs: options.maxRetryDelay,
    jitter: typeof jitter === 'string' ? (jitter === 'decorrelated' ? [1, 1] : jitterRanges[jitter]) : jitter,
  }
}
