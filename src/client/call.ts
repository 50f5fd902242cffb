// One call: its attempts, the waits between them, and how it ends. An attempt goes breaker, token, time limit, transport;
// what its end means is decided by `breakerOutcome`, `isRepeatable` and `retryDecision`.

import { onAbort } from '../core/abort.ts'
import type { TimerHandle } from '../core/clock.ts'
import {
  ApiError,
  abortedBy,
  CircuitBreakerError,
  CommsError,
  NetworkError,
  RateLimitError,
  TimeoutError,
} from '../core/errors.ts'
import { lazily } from '../core/lazily.ts'
import type { Outcome } from '../core/outcome.ts'
import { redactUrl } from '../core/redact.ts'
import { makeBody } from '../http/body.ts'
import { breakerOutcome, isRepeatable } from '../http/classify.ts'
import { parseBody, parseErrorBody } from '../http/parseBody.ts'
import { retryAfterMs, shouldRetry } from '../http/retryAfter.ts'
import { checkOrigin, type Target } from '../http/url.ts'
import { type BreakerMachine, REFUSED } from '../policies/circuitBreaker/breakerMachine.ts'
import { circuitOpenError } from '../policies/circuitBreaker/CircuitBreaker.ts'
import type { Bucket } from '../policies/rateLimiter/keyedBuckets.ts'
import { retryDecision } from '../policies/retry/retryDecision.ts'
import { Deadline } from '../policies/timeout/Deadlines.ts'
import type {
  BodyForm,
  HttpExchange,
  HttpHeaders,
  HttpReceiver,
  HttpRequest,
  HttpResponse,
} from '../transport/HttpTransport.ts'
import type { ClientCore, Live } from './core.ts'
import type { ApiClientEvents, AttemptTimings } from './events.ts'
import type { CallOptions } from './options.ts'
import type { PreparedRequest } from './requests.ts'

const redirects = lazily(() => import('../http/redirects.ts'))

const noHeaders: HttpHeaders = Object.freeze({})

/** Runs one call to its end. Settles once, through one of the two functions it is given. */
export class Call extends Deadline implements HttpReceiver, Live {
  place = 0
  /** Attempts that left the client. */
  attempts = 0
  // The answer, or what there is of it.
  status = 0
  statusText: string | undefined
  headers: HttpHeaders = noHeaders
  setCookie: readonly string[] | undefined
  /** The parsed body, or its stream. */
  data: unknown
  protected readonly core: ClientCore
  protected readonly prepared: PreparedRequest
  protected readonly options: CallOptions
  protected readonly deadlineAt: number
  protected readonly reject: (error: unknown) => void
  readonly #resolve: (call: Call) => void
  readonly #startedAt: number
  #over = false
  /** The last failure. */
  #error: unknown
  #pause: TimerHandle | undefined
  #pauseMs = 0
  /** Tokens taken that are not there yet. */
  #owed: { bucket: Bucket; cost: number } | undefined
  #release: (() => void) | undefined
  #earlier: AttemptTimings[] | undefined
  // The attempt, from here on.
  /** 1 for the first. */
  protected attempt = 0
  #running = false
  #attemptAt = Number.NaN
  /** When the request began to be written; NaN while no byte can have reached a server. */
  #sentAt = Number.NaN
  #headersAt = Number.NaN
  #endedAt = Number.NaN
  #target: Target
  #wire: HttpRequest
  /** Redirects followed. */
  #hops = 0
  /** A redirect has been followed that ended the original request. */
  #answered = false
  #finalUrl: string | undefined
  #exchange: HttpExchange | undefined
  #breaker: BreakerMachine | undefined
  #permit = REFUSED
  /** How long it may take. */
  #limitMs = 0

  constructor(
    core: ClientCore,
    prepared: PreparedRequest,
    options: CallOptions,
    resolve: (call: Call) => void,
    reject: (error: unknown) => void,
  ) {
    super()
    this.core = core
    this.prepared = prepared
    this.options = options
    this.#resolve = resolve
    this.reject = reject
    this.#target = prepared.target
    this.#wire = prepared.wire
    this.#startedAt = core.settings.clock.now()
    this.deadlineAt = core.deadlineOf(options, this.#startedAt)
  }

  /** Where the answer came from, secrets in the query replaced. */
  get url(): string {
    return redactUrl(this.#href)
  }

  /** The same with its secrets: for the caller's own eyes. */
  get finalUrl(): string {
    return this.#finalUrl ?? this.#href
  }

  get #href(): string {
    return this.#target.origin + this.#target.path
  }

  /** Whether the answer came from elsewhere than was asked. */
  get redirected(): boolean {
    return this.#hops > 0 || this.#finalUrl !== undefined
  }

  /** Of every attempt, in order. */
  get timings(): AttemptTimings[] {
    return [
      ...(this.#earlier ?? []),
      {
        attempt: this.attempt,
        untilSent: this.#sentAt - this.#attemptAt,
        untilHeaders: this.#headersAt - this.#attemptAt,
        total: this.#endedAt - this.#attemptAt,
      },
    ]
  }

  start(): void {
    const { signal } = this.options
    this.begin()
    this.core.live.add(this)
    if (signal) this.#release = onAbort(signal, () => this.aborted(abortedBy(signal)))
    if (!this.#over) this.#startAttempt(this.#startedAt)
  }

  /** Counts it. */
  protected begin(): void {
    const { counters, tools } = this.core
    counters.totalRequests += 1
    tools.budget.deposit(this.#startedAt)
  }

  /** Its caller wants no more of it. */
  protected aborted(error: CommsError): void {
    this.core.counters.aborted += 1
    this.end(error)
  }

  /** Stops it, wherever it is. */
  end(error: CommsError): void {
    if (this.#over) return
    this.stop(error)
    this.fail(error)
  }

  /** Nothing of it goes on. */
  protected stop(error: CommsError): void {
    if (this.#pause !== undefined) this.core.settings.clock.clearTimeout(this.#pause)
    if (this.#owed) this.#owed.bucket.tokens += this.#owed.cost
    if (this.#running) this.#endAttempt('ignored')
    this.#exchange?.cancel(error)
  }

  onSent(): void {
    if (this.#hops === 0) this.#sentAt = this.now()
  }

  onHead(status: number): BodyForm {
    this.#headersAt = this.now()
    return this.streams(isSuccess(status))
  }

  /** How the body is wanted. */
  protected streams(_success: boolean): BodyForm {
    return false
  }

  onFailure(error: unknown): void {
    if (!this.#running) return
    this.#endAttempt(breakerOutcome(error))
    if (error instanceof TimeoutError) this.core.counters.timeouts += 1
    // A refusal in front of a retry is not the news: what the last attempt met is.
    if (this.#error && (error instanceof CircuitBreakerError || error instanceof RateLimitError)) {
      this.fail(this.#error)
      return
    }
    this.#error = error
    const retries = this.options.retries ?? this.core.settings.retries
    if (this.attempt > retries || !this.#isRepeatable(error)) {
      this.fail(error)
      return
    }
    const hook = this.core.settings.shouldRetry
    if (!hook) this.#retry(error)
    else {
      // A hook may take its time, but no more than the call has.
      const { deadlines } = this.core.tools
      const now = this.now()
      if (this.deadlineAt < Infinity) deadlines.add(this, Math.max(0, this.deadlineAt - now), now)
      this.whenDone((async () => hook(error, this.attempt))(), (wanted) => {
        deadlines.cancel(this)
        if (wanted) this.#retry(error)
        else this.fail(error)
      })
    }
  }

  onResponse(response: HttpResponse): void {
    if (!this.#running) return
    const { status, headers, body, finalUrl } = response
    this.status = status
    this.statusText = response.statusText
    this.headers = headers
    this.setCookie = response.setCookie
    try {
      if (finalUrl !== undefined) {
        checkOrigin(new URL(finalUrl), this.core.requests.rules)
        this.#finalUrl = finalUrl
      }
      if (headers.location !== undefined && isRedirect(status) && this.#maxRedirects > 0) {
        this.#follow(response)
      } else if (isSuccess(status)) {
        this.data = this.read(body)
        this.#endAttempt('success')
        this.deliver()
      } else {
        this.data = body
        this.onFailure(this.#statusError(body))
      }
    } catch (error) {
      this.onFailure(error)
    }
  }

  /** Its time has run out. */
  override onDue(): void {
    if (!this.#running) {
      this.fail(this.#error)
      return
    }
    const error = this.#timeoutError(this.#limitMs)
    const exchange = this.#exchange
    this.onFailure(error)
    exchange?.cancel(error)
  }

  protected now(): number {
    return this.core.settings.clock.now()
  }

  #startAttempt(now: number): void {
    const core = this.core
    const { limiter, settings } = core
    const { target, wire } = this.prepared
    this.attempt += 1
    this.#running = true
    this.#target = target
    this.#wire = wire
    this.#hops = this.status = 0
    this.headers = noHeaders
    this.#answered = false
    this.#finalUrl = this.#exchange = undefined
    this.#sentAt = this.#headersAt = Number.NaN
    if (!this.#enter(now)) return
    const { endpoint } = this.prepared
    const { rateCategory, rateCost: cost = 1, priority, signal } = this.options
    const sameTime = limiter.clock === settings.clock ? now : undefined
    const bucket = limiter.take(endpoint, rateCategory, cost, sameTime)
    if (!bucket) {
      this.#send(now)
      return
    }
    const { category } = bucket
    const retryAfter = limiter.waitMs(bucket, cost)
    const deadlineAt = this.deadlineAt
    const queues = settings.rateLimitMode === 'wait'
    const waiting = queues || (this.attempt > 1 && now + retryAfter < deadlineAt)
    this.tell('debug', 'limited', { endpoint, category, waiting, retryAfter })
    if (!waiting) {
      this.onFailure(limiter.refusal(endpoint, bucket, retryAfter))
      return
    }
    this.#giveBack('ignored', now)
    if (queues) {
      const turn = core.waitForToken(endpoint, bucket, { cost, priority, signal, deadlineAt })
      this.whenDone(turn, () => this.#goOn())
      return
    }
    // A retry is not turned away: its tokens are taken before they are there, and it goes when they are.
    bucket.tokens -= cost
    this.#owed = { bucket, cost }
    this.#wait(retryAfter, () => {
      this.#owed = undefined
      this.#goOn()
    })
  }

  /** Asks the breaker; false when it refused and the attempt is over. */
  #enter(now: number): boolean {
    const { settings, breakers } = this.core
    this.#attemptAt = now
    this.#limitMs = Math.min(this.options.timeout ?? settings.timeout, this.deadlineAt - now)
    if (!settings.circuitBreaker) return true
    const { origin } = this.#target
    const breaker = breakers.of(origin)
    this.#permit = breaker.acquire(now, this.#limitMs)
    this.#breaker = breaker
    if (this.#permit !== REFUSED) return true
    this.onFailure(circuitOpenError(breaker, now, origin))
    return false
  }

  /** After a wait. Others may have probed, and the circuit may have opened: it is asked again. */
  #goOn(): void {
    const now = this.now()
    if (this.#enter(now)) this.#send(now)
  }

  #wait(ms: number, then: () => void): void {
    const { clock, unref } = this.core.settings
    this.#pause = clock.setTimeout(
      () => {
        this.#pause = undefined
        then()
      },
      ms,
      unref,
    )
  }

  #send(now: number): void {
    const core = this.core
    if (this.#limitMs <= 0) {
      // Nothing was sent: it says nothing about the server.
      this.#giveBack('ignored', now)
      this.onFailure(this.#timeoutError(0))
      return
    }
    if (this.#limitMs !== Number.POSITIVE_INFINITY) core.tools.deadlines.add(this, this.#limitMs, now)
    core.counters.attempts += 1
    this.attempts += 1
    this.tell('debug', 'attempt', { attempt: this.attempt })
    this.#dispatch()
  }

  /** To the transport; a body that is a function is made anew each time. */
  #dispatch(): void {
    const { content } = this.prepared.body
    const { transport } = this.core
    if (typeof content !== 'function' || this.#answered) {
      this.#exchange = transport.send(this.#wire, this)
      return
    }
    this.whenDone(makeBody(content), (body) => {
      this.#wire = { ...this.#wire, body }
      this.#exchange = transport.send(this.#wire, this)
    })
  }

  /** Goes on with what work of this attempt came to, unless the attempt or the call has ended meanwhile. */
  protected whenDone<T>(work: T | Promise<T>, onDone: (value: T) => void): void {
    const [attempt, running] = [this.attempt, this.#running]
    const isCurrent = () => !this.#over && attempt === this.attempt && running === this.#running
    Promise.resolve(work).then(
      (value) => {
        if (isCurrent()) onDone(value)
      },
      (error) => {
        if (!isCurrent()) return
        if (running) this.onFailure(error)
        else this.fail(error)
      },
    )
  }

  #timeoutError(limitMs: number): TimeoutError {
    const timeoutMs = this.options.timeout ?? this.core.settings.timeout
    const byDeadline = limitMs < timeoutMs
    const { method, url } = this.#about
    const what = byDeadline ? 'the deadline has passed' : `no full answer in ${timeoutMs} ms`
    return new TimeoutError(`timeout: ${method} ${url}: ${what}`, {
      url,
      phase: byDeadline ? 'deadline' : 'attempt',
      timeoutMs: byDeadline ? Math.round(limitMs) : timeoutMs,
    })
  }

  get #maxRedirects(): number {
    return this.options.maxRedirects ?? this.core.settings.maxRedirects
  }

  #follow({ body }: HttpResponse): void {
    // What came with the redirect is of no use.
    this.discard(body)
    this.whenDone(redirects(), ({ redirect }) => {
      try {
        const { requests } = this.core
        const next = redirect(this.#wire, {
          status: this.status,
          location: this.headers.location,
          target: this.#target,
          hops: this.#hops,
          maxRedirects: this.#maxRedirects,
          replayable: this.prepared.body.replayable,
          resolve: (url) => requests.targetOf(url),
          sensitive: requests.sensitive,
        })
        this.#hops += 1
        this.#answered ||= next.answered
        this.#target = next.target
        this.#wire = next.wire
        this.#dispatch()
      } catch (error) {
        this.onFailure(error)
      }
    })
  }

  /** @throws CommsError `BAD_RESPONSE` */
  protected read(body: HttpResponse['body']): unknown {
    const { options, headers, core } = this
    try {
      return parseBody(body as Uint8Array, headers['content-type'], options.responseType, core.transport)
    } catch (error) {
      const { message, code, cause } = error as CommsError
      const { method, url } = this.#about
      throw new CommsError(`${method} ${url}: ${message}`, { code, cause })
    }
  }

  #statusError(body: HttpResponse['body']): ApiError {
    const { status, headers } = this
    const { method, url } = this.#about
    const { settings, transport } = this.core
    return new ApiError(`HTTP ${status}: ${method} ${url}`, {
      status,
      headers,
      url,
      body: body instanceof Uint8Array ? parseErrorBody(body, headers['content-type'], transport) : undefined,
      retryAfter: retryAfterMs(headers, settings.clock.wallNow()),
    })
  }

  #isRepeatable(error: unknown): boolean {
    return isRepeatable({
      error,
      method: this.prepared.wire.method,
      retryStatusCodes: this.core.settings.retryStatusCodes,
      serverSays: shouldRetry(this.headers),
      safeToRepeat: this.prepared.safeToRepeat,
      replayable: this.prepared.body.replayable,
      neverSent:
        this.#hops === 0 &&
        (Number.isNaN(this.#sentAt) || (error instanceof NetworkError && error.neverSent)),
      answered: this.#answered,
      attempt: this.attempt,
    })
  }

  /** Once more, if that can be afforded. */
  #retry(error: unknown): void {
    const core = this.core
    const { clock, maxRetryAfter, jitter, random } = core.settings
    const decision = retryDecision({
      attempt: this.attempt,
      retries: Infinity,
      retryable: true,
      retryAfterMs: (error as { retryAfter?: number }).retryAfter,
      maxRetryAfterMs: maxRetryAfter,
      backoff: core.tools.backoff,
      decorrelated: jitter === 'decorrelated',
      previousDelayMs: this.#pauseMs,
      now: clock.now(),
      deadlineAt: this.deadlineAt,
      budget: core.tools.budget,
      random,
    })
    if (decision.action === 'stop') {
      if (core.settings.enableLogging)
        core.log('debug', 'no retry', { ...this.#about, reason: decision.reason })
      this.fail(error)
      return
    }
    const { delayMs: delay } = decision
    this.discard(this.data)
    this.#pauseMs = delay
    core.counters.retries += 1
    if (error instanceof CommsError) error.attempts = this.attempts
    this.tell('warn', 'retry', { attempt: this.attempt, delay: Math.ceil(delay), error })
    this.#earlier = this.timings
    this.#wait(delay, () => this.#startAttempt(this.now()))
  }

  #endAttempt(outcome: Outcome): void {
    this.#running = false
    this.#endedAt = this.now()
    this.core.tools.deadlines.cancel(this)
    this.#giveBack(outcome, this.#endedAt)
  }

  #giveBack(outcome: Outcome, now: number): void {
    if (this.#permit === REFUSED) return
    this.#breaker?.record(this.#permit, outcome, now, now - this.#attemptAt)
    this.#permit = REFUSED
  }

  /** It has been answered. */
  protected deliver(): void {
    const core = this.core
    this.finish()
    core.counters.successfulRequests += 1
    if (core.hears('response')) {
      const { status, attempts, timings } = this
      const duration = this.#endedAt - this.#startedAt
      this.tell('debug', 'response', { status, attempts, duration, timings })
    }
    this.#resolve(this)
  }

  /** It has failed for good. */
  protected fail(error: unknown): void {
    if (this.#over) return
    this.discard(this.data)
    this.finish()
    this.core.counters.failedRequests += 1
    const { attempts } = this
    if (error instanceof CommsError) error.attempts = attempts
    const duration = this.now() - this.#startedAt
    this.tell('warn', 'failure', { error, attempts, duration })
    this.reject(error)
  }

  /** Lets go of all that it holds. */
  protected finish(): void {
    this.#over = true
    this.core.tools.deadlines.cancel(this)
    this.#release?.()
    this.core.live.delete(this)
  }

  /** Lets go of a body that nobody will read: nothing to do where it has come as a whole. */
  protected discard(_body: unknown): void {}

  protected tell<K extends Exclude<keyof ApiClientEvents, 'breaker' | 'learned'>>(
    level: 'debug' | 'warn',
    event: K,
    fields: Omit<ApiClientEvents[K][0], 'method' | 'url'>,
  ): void {
    if (!this.core.hears(event)) return
    this.core.tell(level, event, { ...this.#about, ...fields } as ApiClientEvents[K][0])
  }

  /** What events and errors go by: the method as it was asked, the URL as redirects have made it. */
  get #about() {
    return { method: this.prepared.wire.method, url: this.url }
  }
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}

function isRedirect(status: number): boolean {
  return /^30[12378]$/.test(String(status))
}
