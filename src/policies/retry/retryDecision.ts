// Whether to try again, and when. Knows no protocol: somebody else has judged whether the failure is worth a retry
// and whether the server asked to wait.

import type { Random } from '../../core/random.ts'
import { type Backoff, backoffDelay, decorrelatedDelay } from '../backoff.ts'
import type { RetryBudget } from './retryBudget.ts'

/** Added to what a server asked to wait: clocks and timers round, and a retry must never be early. */
export const RETRY_AFTER_MARGIN_MS = 50

export interface RetryQuestion {
  /** Attempts made so far; the first call counts. */
  readonly attempt: number
  /** Retries allowed after the first attempt. */
  readonly retries: number
  /** Whether this failure may be repeated at all. */
  readonly retryable: boolean
  /** What the server asked to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined
  /** The longest such wish that is granted, in milliseconds. */
  readonly maxRetryAfterMs: number
  readonly backoff: Backoff
  readonly decorrelated: boolean
  /** The delay before the attempt that just failed, 0 at the first. */
  readonly previousDelayMs: number
  readonly now: number
  /** When the whole call must be over. */
  readonly deadlineAt: number
  readonly budget: RetryBudget | undefined
  readonly random: Random
}

export type RetryStopReason =
  | 'not-retryable'
  | 'attempts-exhausted'
  | 'retry-after-too-long'
  | 'deadline'
  | 'budget-exhausted'

export type RetryDecision =
  | { readonly action: 'retry'; readonly delayMs: number }
  | { readonly action: 'stop'; readonly reason: RetryStopReason }

/** Decides about the next attempt. The budget is drawn on last, so that a refusal for another reason costs nothing. */
export function retryDecision(question: RetryQuestion): RetryDecision {
  if (!question.retryable) return stop('not-retryable')
  if (question.attempt > question.retries) return stop('attempts-exhausted')
  const { retryAfterMs } = question
  if (retryAfterMs !== undefined && retryAfterMs > question.maxRetryAfterMs)
    return stop('retry-after-too-long')
  const delayMs = Math.max(
    question.decorrelated
      ? decorrelatedDelay(question.backoff, question.previousDelayMs || undefined, question.random)
      : backoffDelay(question.backoff, question.attempt, question.random),
    retryAfterMs === undefined ? 0 : retryAfterMs + RETRY_AFTER_MARGIN_MS,
  )
  if (question.now + delayMs >= question.deadlineAt) return stop('deadline')
  if (question.budget && !question.budget.tryWithdraw(question.now)) return stop('budget-exhausted')
  return { action: 'retry', delayMs }
}

function stop(reason: RetryStopReason): RetryDecision {
  return { action: 'stop', reason }
}
