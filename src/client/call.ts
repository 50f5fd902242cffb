// One call: attempts, the waits between them, and how it ends. The decisions are `isRepeatable` and `retryDecision`.

import { onAbort } from '../core/abort.ts'
import type { TimerHandle } from '../core/clock.ts'
import {
  AbortError,
  ApiError,
  CircuitBreakerError,
  CommsError,
  RateLimitError,
  TimeoutError,
} from '../core/errors.ts'
import { redactUrl } from '../core/redact.ts'
import { isRepeatable } from '../http/classify.ts'
import { shouldRetry } from '../http/retryAfter.ts'
import { retryDecision } from '../policies/retry/retryDecision.ts'
import { Attempt, type AttemptOwner } from './attempt.ts'
import type { ClientCore, Live } from './core.ts'
import type { AttemptTimings } from './events.ts'
import { GuardedStream } from './guardedStream.ts'
import type { CallOptions } from './options.ts'
import type { PreparedRequest } from './requests.ts'

/** Runs one call to its end. Settles once, through one of the two functions it is given. */
export class Call implements AttemptOwner, Live {
  readonly #core: ClientCore
  readonly #prepared: PreparedRequest
  readonly #options: CallOptions
  readonly #resolve: (call: Call) => void
  readonly #reject: (error: unknown) => void
  readonly #startedAt: number
  readonly #deadlineAt: number
  place = 0
  #attempt: Attempt | undefined
  #started = 0
  #sent = 0
  #lastError: unknown
  #pause: TimerHandle | undefined
  #pauseMs = 0
  #release: (() => void) | undefined
  #earlier: AttemptTimings[] | undefined
  #over = false

  constructor(
    core: ClientCore,
    prepared: PreparedRequest,
    options: CallOptions,
    resolve: (call: Call) => void,
    reject: (error: unknown) => void,
  ) {
    this.#core = core
    this.#prepared = prepared
    this.#options = options
    this.#resolve = resolve
    this.#reject = reject
    this.#startedAt = core.clock.now()
    this.#deadlineAt = core.deadlineOf(options, this.#startedAt)
  }

  /** The attempt that was answered, once there is one. */
  get answer(): Attempt {
    return this.#attempt as Attempt
  }

  /** Attempts that left the client. */
  get attempts(): number {
    return this.#sent
  }

  /** Of every attempt, in order. */
  get timings(): AttemptTimings[] {
    const last = this.#attempt
    return [...(this.#earlier ?? []), ...(last ? [last.timings] : [])]
  }

  start(): void {
    const { signal, hedge } = this.#options
    if (hedge === 'extra') this.#tellHedge()
    else this.#core.counters.requests += 1
    this.#core.live.add(this)
    if (signal) {
      this.#release = onAbort(signal, () => this.#abort(signal))
      if (this.#over) return
    }
    if (hedge !== 'extra') this.#core.budget.deposit(this.#startedAt)
    this.#startAttempt()
  }

  end(error: CommsError): void {
    this.#stop(error)
    this.#fail(error)
  }

  attemptSent(): void {
    this.#sent += 1
  }

  attemptSucceeded(attempt: Attempt): void {
    if (this.#over) return
    const { responseType, raw } = this.#options
    if (attempt.data instanceof ReadableStream && (raw || responseType === 'stream')) {
      attempt.data = this.#guard(attempt.data as ReadableStream<Uint8Array>, attempt)
    }
    this.#finish()
    this.#core.counters.succeeded += 1
    this.#tellResponse(attempt)
    this.#resolve(this)
  }

  attemptFailed(attempt: Attempt, error: unknown): void {
    if (this.#over) return
    if (error instanceof TimeoutError) this.#core.counters.timeouts += 1
    // A refusal in front of a retry is not the news: what the last attempt met is.
    if (this.#lastError && (error instanceof CircuitBreakerError || error instanceof RateLimitError)) {
      this.#fail(this.#lastError)
      return
    }
    this.#lastError = error
    const retries = this.#options.retries ?? this.#core.settings.retries
    if (attempt.number > retries || !this.#isRepeatable(attempt, error)) {
      this.#fail(error)
      return
    }
    const { shouldRetry: hook } = this.#core.settings
    if (!hook) {
      this.#retryOrFail(attempt, error, retries)
      return
    }
    const ask = async () => hook(error, attempt.number)
    const leftMs = this.#deadlineAt - this.#core.clock.now()
    const expiry =
      leftMs === Number.POSITIVE_INFINITY
        ? undefined
        : this.#core.deadlines.set(Math.max(0, leftMs), () => this.#fail(error))
    ask().then(
      (wanted) => {
        if (expiry) this.#core.deadlines.cancel(expiry)
        if (this.#over) return
        if (wanted) this.#retryOrFail(attempt, error, retries)
        else this.#fail(error)
      },
      (thrown) => {
        if (expiry) this.#core.deadlines.cancel(expiry)
        this.#fail(thrown)
      },
    )
  }

  #startAttempt(): void {
    this.#started += 1
    this.#attempt = new Attempt(
      this.#core,
      this,
      this.#prepared,
      this.#options,
      this.#started,
      this.#deadlineAt,
    )
    this.#attempt.start()
  }

  #isRepeatable(attempt: Attempt, error: unknown): boolean {
    return isRepeatable({
      error,
      method: this.#prepared.wire.method,
      retryStatusCodes: this.#core.settings.retryStatusCodes,
      serverSays: shouldRetry(attempt.headers),
      safeToRepeat: this.#prepared.safeToRepeat,
      replayable: this.#prepared.body.replayable,
      neverSent: attempt.neverSent(error),
      answered: attempt.answered,
      attempt: attempt.number,
    })
  }

  #retryOrFail(attempt: Attempt, error: unknown, retries: number): void {
    const { settings, clock } = this.#core
    const decision = retryDecision({
      attempt: attempt.number,
      retries,
      retryable: true,
      retryAfterMs: (error as { retryAfter?: number }).retryAfter,
      maxRetryAfterMs: settings.maxRetryAfter,
      backoff: this.#core.backoff,
      decorrelated: settings.jitter === 'decorrelated',
      previousDelayMs: this.#pauseMs,
      now: clock.now(),
      deadlineAt: this.#deadlineAt,
      budget: this.#core.budget,
      random: this.#core.random,
    })
    if (decision.action === 'stop') {
      this.#core.log(
        'debug',
        () => `${this.#prepared.wire.method} ${this.#url}: no retry (${decision.reason})`,
      )
      this.#fail(error)
      return
    }
    attempt.discard()
    this.#pauseMs = decision.delayMs
    this.#core.counters.retries += 1
    this.#tellRetry(attempt, error, decision.delayMs)
    this.#earlier ??= []
    this.#earlier.push(attempt.timings)
    this.#pause = clock.setTimeout(
      () => {
        this.#pause = undefined
        this.#startAttempt()
      },
      decision.delayMs,
      settings.unref,
    )
  }

  #guard(source: ReadableStream<Uint8Array>, attempt: Attempt): ReadableStream<Uint8Array> {
    return new GuardedStream(source, this.#core, {
      idleTimeoutMs: this.#options.idleTimeout ?? this.#core.settings.idleTimeout,
      deadlineAt: this.#deadlineAt,
      signal: this.#options.callerSignal ?? this.#options.signal,
      url: attempt.url,
      attempts: this.#sent,
    }).stream
  }

  #abort(signal: AbortSignal): void {
    const error = new AbortError('aborted by the caller', { cause: signal.reason })
    this.#stop(error)
    if (this.#options.hedge !== undefined) {
      // It lost the race: that is neither the caller's abort nor a failure.
      this.#finish()
      this.#reject(error)
      return
    }
    this.#core.counters.aborted += 1
    this.#fail(error)
  }

  /** Ends what is under way. */
  #stop(reason: unknown): void {
    if (this.#over) return
    if (this.#pause !== undefined) this.#core.clock.clearTimeout(this.#pause)
    this.#attempt?.cancel(reason)
  }

  #fail(error: unknown): void {
    if (this.#over) return
    // Who asked for the answer as it is gets it, whatever its status.
    if (this.#options.raw && error instanceof ApiError && this.#attempt?.status === error.status) {
      this.attemptSucceeded(this.#attempt)
      return
    }
    this.#finish()
    this.#core.counters.failed += 1
    if (error instanceof CommsError) error.attempts = this.#sent
    this.#tellFailure(error)
    this.#reject(error)
  }

  #finish(): void {
    this.#over = true
    this.#release?.()
    this.#core.live.delete(this)
  }

  get #url(): string {
    return redactUrl(this.#prepared.target.origin + this.#prepared.target.path)
  }

  #tellHedge(): void {
    const { events, counters } = this.#core
    const { method } = this.#prepared.wire
    counters.hedges += 1
    if (events.listenerCount('hedge') > 0) events.emit('hedge', { method, url: this.#url })
    this.#core.log('debug', () => `${method} ${this.#url}: slow, asked once more`)
  }

  #tellRetry(attempt: Attempt, error: unknown, delay: number): void {
    const { events } = this.#core
    const { method } = this.#prepared.wire
    if (events.listenerCount('retry') > 0) {
      events.emit('retry', { method, url: this.#url, attempt: attempt.number, delay, error })
    }
    this.#core.log('warn', () => `${method} ${this.#url}: retry in ${Math.round(delay)} ms after ${error}`)
  }

  #tellResponse(attempt: Attempt): void {
    const { events } = this.#core
    const { method } = this.#prepared.wire
    const duration = attempt.endedAt - this.#startedAt
    const { status } = attempt
    if (events.listenerCount('response') > 0) {
      const { url, attempts, timings } = { url: attempt.url, attempts: this.#sent, timings: this.timings }
      events.emit('response', { method, url, status, attempts, duration, timings })
    }
    this.#core.log('debug', () => `${method} ${attempt.url}: ${status} after ${Math.round(duration)} ms`)
  }

  #tellFailure(error: unknown): void {
    const { events } = this.#core
    const { method } = this.#prepared.wire
    const duration = this.#core.clock.now() - this.#startedAt
    if (events.listenerCount('failure') > 0) {
      events.emit('failure', { method, url: this.#url, error, attempts: this.#sent, duration })
    }
    this.#core.log('warn', () => `${method} ${this.#url}: failed after ${Math.round(duration)} ms: ${error}`)
  }
}
