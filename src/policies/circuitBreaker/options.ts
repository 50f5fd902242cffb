// The options of a circuit breaker: meaning, defaults, checks.

import {
  checkOptions,
  duration,
  interval,
  positiveCount,
  type Resolved,
  type Rules,
  withDefaults,
} from '../../core/options.ts'

export interface CircuitBreakerOptions {
  /** Consecutive failures that open it. @default 5 */
  threshold?: number | undefined
  /** How long it stays open before it lets a probe through, in milliseconds. @default 60000 */
  timeout?: number | undefined
  /** It never opens before its window holds this many attempts. @default 10 */
  volumeThreshold?: number | undefined
  /** Share of failed attempts in the window that opens it, 1 for only when all failed. @default 0.5 */
  failureRate?: number | undefined
  /** Length of the window, in milliseconds. @default 60000 */
  window?: number | undefined
  /** How many probes a half-open breaker lets through; all must succeed to close it. @default 1 */
  halfOpenRequests?: number | undefined
  /** An attempt that takes longer counts as slow, in milliseconds. @default Infinity: none does */
  slowCallDuration?: number | undefined
  /** Share of slow attempts in the window that opens it. @default 1 */
  slowCallRate?: number | undefined
  /** When a probe fails the open time doubles, up to this, in milliseconds. @default the value of `timeout`: it does not grow */
  maxTimeout?: number | undefined
  /** A probe that has not settled after this counts as failed, in milliseconds, unless the caller names its own limit. @default 60000 */
  probeTimeout?: number | undefined
}

/** Options with every gap filled; `maxTimeout` 0 stands for "as `timeout`". */
export type ResolvedCircuitBreakerOptions = Resolved<CircuitBreakerOptions>

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
