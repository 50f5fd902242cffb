// Retrying any operation.

import type { Clock } from '../../core/clock.ts'
import { saysNothing } from '../../core/errors.ts'
import { callable, checkOptions, clockRule } from '../../core/options.ts'
import { type Random, systemRandom } from '../../core/random.ts'
import { systemClock } from '../../core/systemClock.ts'
import type { Policy } from '../Policy.ts'
import { type RetryOptions, resolveRetryOptions, retryBackoff, retryRules } from './options.ts'
import { type RetryEvent, RetryLayer } from './RetryLayer.ts'

export interface RetryPolicyOptions extends RetryOptions {
  /** Which errors are worth a retry. @default every error but an abort, what has not been tried (an open breaker, a spent limit) and what a function of the app's threw */
  handle?: ((error: unknown) => boolean) | undefined
  /** Told before every wait. */
  onRetry?: ((event: RetryEvent) => void) | undefined
  clock?: Clock | undefined
  random?: Random | undefined
}

const rules = { ...retryRules, handle: callable, onRetry: callable, clock: clockRule, random: callable }

/** To repeat what says nothing of the other side would only add load. */
function worthRetrying(error: unknown): boolean {
  return !saysNothing(error)
}

/**
 * Repeats an operation that failed, with exponential backoff.
 * @throws the last error of the operation; `AbortError` when the signal aborts during a wait; CommsError `CALLBACK_FAILED`
 *   when a function among the options throws
 */
export function retry(options: RetryPolicyOptions = {}): Policy {
  checkOptions('retry', options, rules)
  const { clock = systemClock, random = systemRandom, handle = worthRetrying, onRetry } = options
  const { retries, ...resolved } = resolveRetryOptions(options)
  return new RetryLayer({
    ...resolved,
    clock,
    random,
    unref: false,
    backoff: retryBackoff(resolved),
    decorrelated: resolved.jitter === 'decorrelated',
    retries: () => retries,
    handle: (error) => handle(error),
    onRetry: (event) => onRetry?.(event),
  })
}
