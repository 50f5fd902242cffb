// Retrying any operation: the shell around `retryDecision`.

import type { Clock } from '../../core/clock.ts'
import { abortedBy, CommsError } from '../../core/errors.ts'
import { callable, checkOptions, clockRule } from '../../core/options.ts'
import { type Random, systemRandom } from '../../core/random.ts'
import { sleep } from '../../core/sleep.ts'
import { systemClock } from '../../core/systemClock.ts'
import type { Backoff } from '../backoff.ts'
import { type Ending, type Inner, type Layer, type Run, runWithin, within } from '../layer.ts'
import { type AttemptContext, firstAttempt, type Operation, type Policy } from '../Policy.ts'
import { type ResolvedRetryOptions, type RetryOptions, resolveRetryOptions, retryBackoff } from './options.ts'
import { retryDecision } from './retryDecision.ts'

export interface RetryPolicyOptions extends RetryOptions {
  /** Which errors are worth a retry. @default every error but an abort and what has not been tried: an open breaker, a spent limit */
  handle?: ((error: unknown) => boolean) | undefined
  /** Told before every wait. */
  onRetry?: ((event: { error: unknown; attempt: number; delayMs: number }) => void) | undefined
  clock?: Clock | undefined
  random?: Random | undefined
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
  return new Retry(options)
}

class Retry implements Layer {
  readonly resolved: ResolvedRetryOptions
  readonly backoff: Backoff
  readonly clock: Clock
  readonly random: Random
  readonly handle: (error: unknown) => boolean
  readonly onRetry: RetryPolicyOptions['onRetry']

  constructor(options: RetryPolicyOptions) {
    const { clock = systemClock, random = systemRandom, handle = worthRetrying, onRetry } = options
    this.resolved = resolveRetryOptions(options)
    this.backoff = retryBackoff(this.resolved)
    this.clock = clock
    this.random = random
    this.handle = handle
    this.onRetry = onRetry
  }

  execute<T>(operation: Operation<T>, context: AttemptContext = firstAttempt): Promise<T> {
    return runWithin(this, operation, context)
  }

  [within](inner: Inner, run: Run, context: AttemptContext, ending: Ending): void {
    this.resolved.budget?.deposit(run.now(this.clock))
    // The first attempt is what callers mostly ask for already.
    const first = context.attempt === 1 ? context : numbered(context, 1)
    inner.enter(run, first, new Attempts(this, inner, run, first, ending))
  }
}

/** The attempts of one operation, one after the other. */
class Attempts implements Ending {
  readonly #policy: Retry
  readonly #inner: Inner
  readonly #run: Run
  readonly #context: AttemptContext
  readonly #ending: Ending
  #attempt = 1
  #previousDelayMs = 0

  constructor(policy: Retry, inner: Inner, run: Run, context: AttemptContext, ending: Ending) {
    this.#policy = policy
    this.#inner = inner
    this.#run = run
    this.#context = context
    this.#ending = ending
  }

  resolve(value: unknown): void {
    this.#ending.resolve(value)
  }

  reject(error: unknown): void {
    this.#goOn(error).catch((thrown) => this.#ending.reject(thrown))
  }

  /** @throws the error, or what a hook throws, when there is no other attempt */
  async #goOn(error: unknown): Promise<void> {
    const { resolved, backoff, clock, random, handle, onRetry } = this.#policy
    const { signal, deadlineAt } = this.#context
    const attempt = this.#attempt
    const decision = retryDecision({
      attempt,
      retries: resolved.retries,
      retryable:
        !signal?.aborted &&
        attempt <= resolved.retries &&
        handle(error) &&
        (resolved.shouldRetry === undefined || (await resolved.shouldRetry(error, attempt))),
      retryAfterMs: retryAfterOf(error),
      maxRetryAfterMs: resolved.maxRetryAfter,
      backoff,
      decorrelated: resolved.jitter === 'decorrelated',
      previousDelayMs: this.#previousDelayMs,
      now: clock.now(),
      deadlineAt,
      budget: resolved.budget,
      random,
    })
    if (decision.action === 'stop') {
      if (error instanceof CommsError) error.attempts = attempt
      throw error
    }
    const { delayMs } = decision
    onRetry?.({ error, attempt, delayMs })
    const aborted = () =>
      Object.assign(abortedBy(signal, 'aborted while waiting to retry'), { attempts: attempt })
    await sleep(clock, delayMs, signal, aborted)
    this.#previousDelayMs = delayMs
    this.#attempt = attempt + 1
    this.#run.later()
    this.#inner.enter(this.#run, numbered(this.#context, attempt + 1), this)
  }
}

/** A context may be an object of a class: its fields are read one by one. */
function numbered({ signal, deadlineAt }: AttemptContext, attempt: number): AttemptContext {
  return { signal, attempt, deadlineAt }
}
