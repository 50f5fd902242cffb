// How long to wait before attempt n: the one formula behind retry, reconnection and the breaker's open time.
// It decides no more than a number: whether to try again at all is decided elsewhere.

import type { Random } from '../core/random.ts'

/** The shape of an exponential backoff. */
export interface Backoff {
  /** Delay before the first repetition, in milliseconds, jitter apart. */
  readonly baseMs: number
  /** Growth from one repetition to the next. */
  readonly factor: number
  /** No delay is longer than this, jitter included. */
  readonly maxMs: number
  /** The delay is multiplied by a number drawn evenly from this range. */
  readonly jitter: JitterRange
}

/** `[1, 1]` no jitter, `[0, 1]` full, `[0.5, 1]` equal, `[1, 1.5]` adds up to half. */
export type JitterRange = readonly [low: number, high: number]

/** Jitter ranges by the names the field uses (Marc Brooker, "Exponential Backoff And Jitter", AWS 2015). */
export const jitterRanges = {
  none: [1, 1],
  full: [0, 1],
  equal: [0.5, 1],
} as const satisfies Record<string, JitterRange>

/**
 * `min(max, min(max, base * factor^(n-1)) * jitter)` milliseconds.
 * @param repetition 1 for the first repetition
 */
export function backoffDelay(backoff: Backoff, repetition: number, random: Random): number {
  const { baseMs, factor, maxMs, jitter } = backoff
  const plain = Math.min(maxMs, baseMs * factor ** (repetition - 1))
  const [low, high] = jitter
  return Math.min(maxMs, plain * (low === high ? low : low + (high - low) * random()))
}

/**
 * Decorrelated jitter: evenly drawn between the base and three times the delay before (same source).
 * @param previousMs the delay before, `undefined` at the first repetition
 */
export function decorrelatedDelay(
  backoff: Pick<Backoff, 'baseMs' | 'maxMs'>,
  previousMs: number | undefined,
  random: Random,
): number {
  const { baseMs, maxMs } = backoff
  const ceiling = Math.max(baseMs, (previousMs ?? baseMs) * 3)
  return Math.min(maxMs, baseMs + (ceiling - baseMs) * random())
}
