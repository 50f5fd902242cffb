// The options of a circuit breaker: meaning, defaults, checks.

import {
  checkOptions,
  duration,
  interval,
  positiveCount,
  type Rules,
  withDefaults,
} from '../../core/options.ts'

export interface CircuitBreakerOptions {
  /** Consecutive failures that open it. @default 5 */
  threshold?: number
  /** How long it stays open before it lets a probe through, in milliseconds. @default 60000 */
  timeout?: number
  /** It never opens before its window holds this many attempts. @default 10 */
  volumeThreshold?: number
  /** Share of failed attempts in the window that opens it, 1 for only when all failed. @default 0.5 */
  failureRate?: number
  /** Length of the window, in milliseconds. @default 60000 */
  window?: number
  /** How many probes a half-open breaker lets through; all must succeed to close it. @default 1 */
  halfOpenRequests?: number
  /** An attempt that takes longer counts as slow, in milliseconds. @default Infinity: none does */
  slowCallDuration?: number
  /** Share of slow attempts in the window that opens it. @default 1 */
  slowCallRate?: number
  /** When a probe fails the open time doubles, up to this, in milliseconds. @default the value of `timeout`: it does not grow */
  maxTimeout?: number
  /** A probe that has not settled after this counts as failed, in milliseconds, unless the caller names its own limit. @default 60000 */
  probeTimeout?: number
}

/** Options with every gap filled; `maxTimeout` 0 stands for "as `timeout`". */
export type ResolvedCircuitBreakerOptions = Required<CircuitBreakerOptions>

export const circuitBreakerDefaults: ResolvedCircuitBreakerOptions = {
  threshold: 5,
  timeout: 60_000,
  volumeThreshold: 10,
  failureRate: 0.5,
  window: 60_000,
  halfOpenRequests: 1,
  slowCallDuration: Number.POSITIVE_INFINITY,
  slowCallRate: 1,
  maxTimeout: 0,
  probeTimeout: 60_000,
}

const rate = 'a number above 0, at most 1'

export const circuitBreakerRules: Rules<CircuitBreakerOptions> = {
  threshold: positiveCount,
  timeout: duration,
  volumeThreshold: positiveCount,
  failureRate: rate,
  window: interval,
  halfOpenRequests: positiveCount,
  slowCallDuration: duration,
  slowCallRate: rate,
  maxTimeout: duration,
  probeTimeout: interval,
}

/** @throws TypeError or RangeError naming the option */
export function resolveCircuitBreakerOptions(
  options: CircuitBreakerOptions,
  owner = 'CircuitBreaker',
): ResolvedCircuitBreakerOptions {
  checkOptions(owner, options, circuitBreakerRules)
  return withDefaults(circuitBreakerDefaults, options)
}
