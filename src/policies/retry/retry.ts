// Retrying any operation: the shell around `retryDecision`.

import type { Clock } from '../../core/clock.ts'
import { AbortError, CommsError } from '../../core/errors.ts'
import { callable, checkOptions, clockRule } from '../../core/options.ts'
import { type Random, systemRandom } from '../../core/random.ts'
import { sleep } from '../../core/sleep.ts'
import { systemClock } from '../../core/systemClock.ts'
import { type AttemptContext, firstAttempt, type Operation, type Policy } from '../Policy.ts'
import { type RetryOptions, resolveRetryOptions, retryBackoff } from './options.ts'
import { retryDecision } from './retryDecision.ts'

export interface RetryPolicyOptions extends RetryOptions {
  /** Which errors are worth a retry. @default every error but an abort and what has not been tried: an open breaker, a spent limit */
  handle?: (error: unknown) => boolean
  /** Told before every wait. */
  onRetry?: (event: { error: unknown; attempt: number; delayMs: number }) => void
  clock?: Clock
  random?: Random
}

/** Refusals of other policies are no failures of the operation: repeating them would only add load. */
function worthRetrying(error: unknown): boolean {
  if (error instanceof CommsError) {
    return !['ABORTED', 'CIRCUIT_OPEN', 'RATE_LIMITED', 'BULKHEAD_FULL', 'VALIDATION', 'DISPOSED'].includes(
      error.code,
    )
  }
  return !(error instanceof Error && error.name === 'AbortError')
}

/** What the other side asked to wait, when the error carries it. */
function retryAfterOf(error: unknown): number | undefined {
  const value = (error as { retryAfter?: unknown } | null | undefined)?.retryAfter
  return typeof value === 'number' && value >= 0 ? value : undefined
}

/**
 * Repeats an operation that failed, with exponential backoff.
 * @throws the last error of the operation; `AbortError` when the signal aborts during a wait
 */
export function retry(options: RetryPolicyOptions = {}): Policy {
  checkOptions('retry', options, { handle: callable, onRetry: callable, clock: clockRule, random: callable })
  const resolved = resolveRetryOptions(options)
  const backoff = retryBackoff(resolved)
  const { clock = systemClock, random = systemRandom, handle = worthRetrying, onRetry } = options

  return {
    async execute<T>(operation: Operation<T>, context: AttemptContext = firstAttempt): Promise<T> {
      const { signal, deadlineAt } = context
      resolved.budget?.deposit(clock.now())
      let previousDelayMs = 0
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await operation({ signal, attempt, deadlineAt })
        } catch (error) {
          const decide = (retryable: boolean) =>
            retryDecision({
              attempt,
              retries: resolved.retries,
              retryable,
              retryAfterMs: retryAfterOf(error),
              maxRetryAfterMs: resolved.maxRetryAfter,
              backoff,
              decorrelated: resolved.jitter === 'decorrelated',
              previousDelayMs,
              now: clock.now(),
              deadlineAt,
              budget: resolved.budget,
              random,
            })
          const wanted =
            !signal?.aborted &&
            attempt <= resolved.retries &&
            handle(error) &&
            (resolved.shouldRetry === undefined || (await resolved.shouldRetry(error, attempt)))
          const decision = decide(wanted)
          if (decision.action === 'stop') {
            if (error instanceof CommsError) error.attempts = attempt
            throw error
          }
          onRetry?.({ error, attempt, delayMs: decision.delayMs })
          previousDelayMs = decision.delayMs
          await sleep(
            clock,
            decision.delayMs,
            signal,
            () =>
              new AbortError('aborted while waiting to retry', { cause: signal?.reason, attempts: attempt }),
          )
        }
      }
    },
  }
}
