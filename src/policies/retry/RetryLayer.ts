// Attempts one after the other: carries out what `retryDecision` decides. Whose attempts they are, and which failures are
// worth another, is said by its terms.

import { onAbort } from '../../core/abort.ts'
import type { Clock, TimerHandle } from '../../core/clock.ts'
import { abortedBy, CommsError, callbackFailed, fenced, isA } from '../../core/errors.ts'
import type { Random } from '../../core/random.ts'
import type { Backoff } from '../backoff.ts'
import { around, type Ending, type Inner, LayerPolicy, Link, type Run, type Underway } from '../layer.ts'
import type { AttemptContext } from '../Policy.ts'
import type { ResolvedRetryOptions } from './options.ts'
import type { RetryBudget } from './retryBudget.ts'
import { type RetryStopReason, retryDecision } from './retryDecision.ts'

/** What is told before a wait. */
export interface RetryEvent {
  readonly error: unknown
  /** The attempt that has failed, 1 for the first. */
  readonly attempt: number
  readonly delayMs: number
}

/** What retrying goes by: the same for all in a policy by itself, each call's own in a client. */
export interface RetryTerms<R extends Run = Run>
  extends Pick<ResolvedRetryOptions, 'maxRetryAfter' | 'shouldRetry'> {
  readonly clock: Clock
  readonly random: Random
  /** Whether its timers let the process end. */
  readonly unref: boolean
  readonly backoff: Backoff
  readonly decorrelated: boolean
  readonly budget: RetryBudget | undefined
  /** How many times to try again after the first attempt. */
  retries(run: R): number
  /** Whether a failure may be repeated, as far as it tells by itself. */
  handle(error: unknown, run: R, attempt: number): boolean
  onRetry(event: RetryEvent, run: R): void
  /** Told why a failure that may be repeated is not. */
  onStop?(reason: RetryStopReason, run: R): void
}

export class RetryLayer<R extends Run = Run> extends LayerPolicy<R> {
  protected readonly terms: RetryTerms<R>

  constructor(terms: RetryTerms<R>) {
    super()
    this.terms = terms
  }

  [around](inner: Inner<R>): Inner<R> {
    return new Retrying(this.terms, inner)
  }
}

class Retrying<R extends Run> implements Inner<R> {
  readonly terms: RetryTerms<R>
  readonly inner: Inner<R>

  constructor(terms: RetryTerms<R>, inner: Inner<R>) {
    this.terms = terms
    this.inner = inner
  }

  enter(run: R, context: AttemptContext, ending: Ending): void {
    const { budget, clock } = this.terms
    // What is an attempt itself, of a hedge or of other retries, has been paid for by them.
    if (context.attempt === 1) budget?.deposit(run.now(clock))
    const first = context.attempt === 1 ? context : numbered(context, 1)
    this.inner.enter(run, first, new Attempts(this, run, first, ending))
  }
}

/** Refusals of other policies: nothing was tried. */
function isRefusal(error: unknown): boolean {
  return isA(error, CommsError) && (error.code === 'CIRCUIT_OPEN' || error.code === 'RATE_LIMITED')
}

/** What the other side asked to wait, when the error carries it. */
function retryAfterOf(error: unknown): number | undefined {
  const value = isA(error, Object) && (error as { retryAfter?: unknown }).retryAfter
  return typeof value === 'number' && value >= 0 ? value : undefined
}

/** A context may be an object of a class: its fields are read one by one. */
function numbered({ signal, deadlineAt }: AttemptContext, attempt: number): AttemptContext {
  return { signal, attempt, deadlineAt }
}

/** The attempts of one run. */
class Attempts<R extends Run> extends Link implements Underway {
  readonly #layer: Retrying<R>
  readonly #run: R
  #context: AttemptContext
  /** Made at the first failure. */
  #failed: Failed | undefined

  constructor(layer: Retrying<R>, run: R, context: AttemptContext, ending: Ending) {
    super(ending)
    this.#layer = layer
    this.#run = run
    this.#context = context
  }

  override reject(error: unknown): void {
    this.#failed ??= new Failed()
    const failed = this.#failed
    // A refusal in front of a retry is not the news: what the last attempt met is.
    if (this.#context.attempt > 1 && isRefusal(error)) {
      this.giveUp(failed.error)
      return
    }
    failed.error = error
    try {
      if (!this.mayRepeat(error)) {
        this.giveUp(error)
        return
      }
      const { shouldRetry } = this.#layer.terms
      if (shouldRetry) this.ask(shouldRetry, failed)
      else this.retry(failed)
    } catch (thrown) {
      // A clock or a source of chance of the app's.
      this.giveUp(isA(thrown, CommsError) ? thrown : callbackFailed('retry', thrown))
    }
  }

  /** The caller goes, or the time that all attempts have is over. */
  interrupt(error: unknown): void {
    this.#failed?.letGo(this.#layer.terms.clock)
    this.giveUp(error)
  }

  // Not `#methods`: they would put a mark on every object.

  private mayRepeat(error: unknown): boolean {
    const { handle, retries } = this.#layer.terms
    const run = this.#run
    const { attempt, signal } = this.#context
    if (run.stopped || signal?.aborted || attempt > retries(run)) return false
    return fenced('handle', () => handle(error, run, attempt))
  }

  /** A hook may take its time, but no more than the call has. */
  private ask(shouldRetry: NonNullable<RetryTerms['shouldRetry']>, failed: Failed): void {
    const { error } = failed
    const { clock } = this.#layer.terms
    const { attempt, deadlineAt } = this.#context
    const wait = this.wait(failed, deadlineAt === Infinity ? Infinity : deadlineAt - clock.now(), () =>
      this.giveUp(error),
    )
    const answered = (goOn: () => void) => {
      if (failed.waits !== wait) return
      this.#run.underway = undefined
      failed.letGo(clock)
      goOn()
    }
    const asking = (async () => shouldRetry(error, attempt))()
    asking.then(
      (wanted) => answered(() => (wanted ? this.retry(failed) : this.giveUp(error))),
      (thrown) => answered(() => this.giveUp(callbackFailed('shouldRetry', thrown))),
    )
  }

  /** Once more, if that can be afforded. */
  private retry(failed: Failed): void {
    const { maxRetryAfter, backoff, decorrelated, clock, budget, random, onRetry, onStop } = this.#layer.terms
    const { error } = failed
    const { attempt, deadlineAt } = this.#context
    const decision = retryDecision({
      attempt,
      retries: Infinity,
      retryable: true,
      retryAfterMs: retryAfterOf(error),
      maxRetryAfterMs: maxRetryAfter,
      backoff,
      decorrelated,
      previousDelayMs: failed.delayMs,
      now: clock.now(),
      deadlineAt,
      budget,
      random,
    })
    if (decision.action === 'stop') {
      onStop?.(decision.reason, this.#run)
      this.giveUp(error)
      return
    }
    const { delayMs } = decision
    failed.delayMs = delayMs
    try {
      fenced('onRetry', () => onRetry({ error, attempt, delayMs }, this.#run))
    } catch (thrown) {
      this.giveUp(thrown)
      return
    }
    this.wait(failed, delayMs, () => this.next())
  }

  private next(): void {
    const run = this.#run
    this.#context = numbered(this.#context, this.#context.attempt + 1)
    run.later()
    this.#layer.inner.enter(run, this.#context, this)
  }

  /** Goes on with `then` after some time, unless the caller goes before. @returns which wait it is */
  private wait(failed: Failed, ms: number, then: () => void): number {
    const { clock, unref } = this.#layer.terms
    const { signal } = this.#context
    const run = this.#run
    run.underway = this
    const due = () => {
      run.underway = undefined
      failed.letGo(clock)
      then()
    }
    failed.waits += 1
    const wait = failed.waits
    if (ms !== Infinity)
      failed.timer = clock.setTimeout(() => run.runInAsyncScope(due, undefined), Math.max(0, ms), unref)
    if (signal) {
      const gone = () => run.interrupt(abortedBy(signal, 'aborted while waiting to retry'))
      failed.release = onAbort(signal, () => run.runInAsyncScope(gone, undefined))
    }
    return wait
  }

  private giveUp(error: unknown): void {
    if (isA(error, CommsError)) error.attempts = this.#context.attempt
    this.ending.reject(error)
  }
}

/** What there is to know once an attempt has failed. */
class Failed {
  error: unknown
  delayMs = 0
  /** Counts the waits, so that what comes too late to one is known. */
  waits = 0
  timer: TimerHandle | undefined
  release: (() => void) | undefined

  letGo(clock: Clock): void {
    this.waits += 1
    if (this.timer !== undefined) clock.clearTimeout(this.timer)
    this.release?.()
    this.timer = this.release = undefined
  }
}
