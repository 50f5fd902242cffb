// One attempt: breaker, token, time limit, redirects, transport, in this order. Reports once to its owner, who decides what follows.

import { ApiError, CommsError, NetworkError, TimeoutError } from '../core/errors.ts'
import type { Outcome } from '../core/outcome.ts'
import { redactUrl } from '../core/redact.ts'
import { checkMade, type WireBody } from '../http/body.ts'
import { breakerOutcome } from '../http/classify.ts'
import { parseBody, parseErrorBody } from '../http/parseBody.ts'
import { redirectDecision, redirectHeaders } from '../http/redirects.ts'
import { retryAfterMs } from '../http/retryAfter.ts'
import { checkOrigin, type Target } from '../http/url.ts'
import { type BreakerMachine, REFUSED } from '../policies/circuitBreaker/breakerMachine.ts'
import { circuitOpenError } from '../policies/circuitBreaker/CircuitBreaker.ts'
import { retryAfterMs as tokenAfterMs } from '../policies/rateLimiter/bucketArithmetic.ts'
import { rateLimitError } from '../policies/rateLimiter/RateLimiter.ts'
import type { Deadline } from '../policies/timeout/Deadlines.ts'
import type {
  HttpExchange,
  HttpHeaders,
  HttpReceiver,
  HttpRequest,
  HttpResponse,
} from '../transport/HttpTransport.ts'
import type { ClientCore } from './core.ts'
import type { AttemptTimings } from './events.ts'
import { learnFrom } from './learning.ts'
import type { CallOptions } from './options.ts'
import type { PreparedRequest } from './requests.ts'

/** Who started an attempt. It ends with one of the last two, once, unless it is cancelled. */
export interface AttemptOwner {
  /** Breaker and limiter have let it through: it goes to the transport. */
  attemptSent(attempt: Attempt): void
  attemptSucceeded(attempt: Attempt): void
  attemptFailed(attempt: Attempt, error: unknown): void
}

const noHeaders: HttpHeaders = Object.freeze({})

export class Attempt implements HttpReceiver {
  /** 1 for the first. */
  readonly number: number
  status = 0
  headers: HttpHeaders = noHeaders
  setCookie: readonly string[] | undefined
  /** The parsed body, or its stream. */
  data: unknown
  /** A redirect has been followed that ended the original request. */
  answered = false
  startedAt = Number.NaN
  /** When the request began to be written; NaN while no byte can have reached a server. */
  #sentAt = Number.NaN
  #headersAt = Number.NaN
  endedAt = Number.NaN
  readonly #core: ClientCore
  readonly #owner: AttemptOwner
  readonly #prepared: PreparedRequest
  readonly #options: CallOptions
  readonly #deadlineAt: number
  #target: Target
  #wire: HttpRequest
  #hops = 0
  #finalUrl: string | undefined
  #exchange: HttpExchange | undefined
  #breaker: BreakerMachine | undefined
  #permit = REFUSED
  #timeout: Deadline | undefined
  #over = false

  constructor(
    core: ClientCore,
    owner: AttemptOwner,
    prepared: PreparedRequest,
    options: CallOptions,
    number: number,
    deadlineAt: number,
  ) {
    this.#core = core
    this.#owner = owner
    this.#prepared = prepared
    this.#options = options
    this.number = number
    this.#deadlineAt = deadlineAt
    this.#target = prepared.target
    this.#wire = prepared.wire
  }

  /** Where the answer came from, secrets in the query replaced. */
  get url(): string {
    return redactUrl(this.#target.origin + this.#target.path)
  }

  /** The same with its secrets: for the caller's own eyes. */
  get finalUrl(): string {
    return this.#finalUrl ?? this.#target.origin + this.#target.path
  }

  /** Whether the answer came from elsewhere than was asked. */
  get redirected(): boolean {
    return this.#hops > 0 || this.#finalUrl !== undefined
  }

  /** Lets go of a body that nobody will read. */
  discard(): void {
    if (this.data instanceof ReadableStream) this.data.cancel().catch(() => {})
  }

  get timings(): AttemptTimings {
    return {
      attempt: this.number,
      untilSent: this.#sentAt - this.startedAt,
      untilHeaders: this.#headersAt - this.startedAt,
      total: this.endedAt - this.startedAt,
    }
  }

  /** Whether its failure leaves no doubt that no server has seen the request. */
  neverSent(error: unknown): boolean {
    return (
      this.#hops === 0 && (Number.isNaN(this.#sentAt) || (error instanceof NetworkError && error.neverSent))
    )
  }

  start(): void {
    const now = this.#core.clock.now()
    this.startedAt = now
    if (!this.#enterBreaker(now)) return
    const { limiter } = this.#core
    if (this.number > 1 || this.#core.settings.rateLimitMode === 'wait') {
      this.#waitForToken()
      return
    }
    const { endpoint } = this.#prepared
    const refusedBy = limiter.take(endpoint, this.#options.rateCategory, this.#options.rateCost)
    if (!refusedBy) {
      this.#send(now)
      return
    }
    const retryAfter = tokenAfterMs(refusedBy, refusedBy.limit, this.#options.rateCost ?? 1, now)
    this.#tellLimited(refusedBy.category, false, retryAfter)
    this.#fail(rateLimitError(endpoint, refusedBy, retryAfter))
  }

  /** Stops it, wherever it is. The owner hears nothing more. */
  cancel(reason: unknown): void {
    if (this.#over) return
    this.#end('ignored')
    this.#exchange?.cancel(reason)
  }

  onSent(): void {
    if (this.#hops === 0) this.#sentAt = this.#core.clock.now()
  }

  onHead(status: number): boolean {
    this.#headersAt = this.#core.clock.now()
    if (this.#options.raw) return true
    return this.#options.responseType === 'stream' && status >= 200 && status < 300
  }

  onFailure(error: CommsError): void {
    this.#fail(error)
  }

  onResponse(response: HttpResponse): void {
    if (this.#over) return
    this.status = response.status
    this.headers = response.headers
    this.setCookie = response.setCookie
    const { learner } = this.#core
    if (learner) learnFrom(this.#core, learner, this.#prepared.endpoint, this.#options.rateCategory, response)
    try {
      if (response.finalUrl !== undefined) {
        checkOrigin(new URL(response.finalUrl), this.#core.requests.rules)
        this.#finalUrl = response.finalUrl
      }
      if (response.status >= 300 && response.status < 400 && this.#followRedirect(response)) return
      if (response.status >= 200 && response.status < 300) {
        this.data = this.#readBody(response)
        this.#succeed()
      } else {
        if (this.#options.raw) this.data = response.body
        this.#fail(this.#statusError(response))
      }
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Asks the breaker; false when it refused and the attempt is over. */
  #enterBreaker(now: number): boolean {
    const { settings, breakers } = this.#core
    if (!settings.circuitBreaker) return true
    const breaker = breakers.of(this.#target.origin)
    const permit = breaker.acquire(now, this.#timeoutMs(now))
    if (permit === REFUSED) {
      this.#fail(circuitOpenError(breaker, now, this.#target.origin))
      return false
    }
    this.#breaker = breaker
    this.#permit = permit
    return true
  }

  #timeoutMs(now: number): number {
    return Math.min(this.#options.timeout ?? this.#core.settings.timeout, this.#deadlineAt - now)
  }

  #waitForToken(): void {
    const { rateCategory: category, rateCost: cost, priority, signal } = this.#options
    const waiting = this.#core.tokens.acquire(this.#prepared.endpoint, {
      ...(category !== undefined && { category }),
      ...(cost !== undefined && { cost }),
      priority,
      signal,
      deadlineAt: this.#deadlineAt,
    })
    if (!waiting) {
      this.#send(this.#core.clock.now())
      return
    }
    // Others may probe, and the circuit may open, while this one waits: the permit is given back and asked for again.
    this.#giveBackPermit()
    this.#tellLimited(
      category ?? 'api',
      true,
      this.#core.limiter.getInfo(this.#prepared.endpoint, category).retryAfter,
    )
    waiting.then(
      () => {
        if (this.#over) return
        const now = this.#core.clock.now()
        this.startedAt = now
        if (this.#enterBreaker(now)) this.#send(now)
      },
      (error) => this.#fail(error),
    )
  }

  #tellLimited(category: string, waiting: boolean, retryAfter: number): void {
    const { events } = this.#core
    const { endpoint, wire } = this.#prepared
    if (events.listenerCount('limited') > 0) {
      events.emit('limited', { method: wire.method, url: this.url, endpoint, category, waiting, retryAfter })
    }
    this.#core.log(
      'debug',
      () => `${endpoint} ${waiting ? 'waits for a token' : 'is over its limit'} (${category})`,
    )
  }

  #send(now: number): void {
    const limitMs = this.#timeoutMs(now)
    if (limitMs <= 0) {
      // Nothing was sent: it says nothing about the server.
      this.#giveBackPermit()
      this.#fail(this.#timeoutError(0))
      return
    }
    const core = this.#core
    if (limitMs !== Number.POSITIVE_INFINITY) {
      this.#timeout = core.deadlines.set(limitMs, () => this.#onTimeout(limitMs), now)
    }
    core.counters.attempts += 1
    this.#owner.attemptSent(this)
    if (core.events.listenerCount('attempt') > 0) {
      core.events.emit('attempt', { method: this.#wire.method, url: this.url, attempt: this.number })
    }
    core.log('debug', () => `${this.#wire.method} ${this.url}: attempt ${this.number}`)
    const { content } = this.#prepared.body
    if (typeof content === 'function') this.#sendMade(content)
    else this.#exchange = core.transport.send(this.#wire, this)
  }

  /** The body is made anew for this attempt. */
  #sendMade(make: () => WireBody | PromiseLike<WireBody>): void {
    const run = async () => checkMade(await make())
    run().then(
      (body) => {
        if (this.#over) return
        this.#wire = { ...this.#wire, body }
        this.#exchange = this.#core.transport.send(this.#wire, this)
      },
      (cause) => {
        this.#fail(
          cause instanceof CommsError
            ? cause
            : new CommsError('the function that makes the request body failed', {
                code: 'BAD_REQUEST',
                cause,
              }),
        )
      },
    )
  }

  #onTimeout(limitMs: number): void {
    this.#timeout = undefined
    const error = this.#timeoutError(limitMs)
    const exchange = this.#exchange
    this.#fail(error)
    exchange?.cancel(error)
  }

  #timeoutError(limitMs: number): TimeoutError {
    const timeoutMs = this.#options.timeout ?? this.#core.settings.timeout
    const byDeadline = limitMs < timeoutMs
    const what = byDeadline
      ? 'the deadline of the call has passed'
      : `not answered in full within ${timeoutMs} ms`
    return new TimeoutError(`timeout: ${this.#wire.method} ${this.url}: ${what}`, {
      url: this.url,
      phase: byDeadline ? 'deadline' : 'attempt',
      timeoutMs: byDeadline ? Math.round(limitMs) : timeoutMs,
    })
  }

  #followRedirect(response: HttpResponse): boolean {
    const { settings, requests, sensitiveHeaders } = this.#core
    const decision = redirectDecision({
      status: response.status,
      location: response.headers.location,
      method: this.#wire.method,
      target: this.#target,
      hops: this.#hops,
      maxRedirects: this.#options.maxRedirects ?? settings.maxRedirects,
      hasBody: this.#wire.body !== undefined,
      replayable: this.#prepared.body.replayable,
      rules: requests.rules,
    })
    if (decision.action === 'deliver') return false
    // What came with the redirect is of no use.
    if (response.body instanceof ReadableStream) response.body.cancel().catch(() => {})
    this.#hops += 1
    if (!decision.keepBody) this.answered = true
    this.#target = decision.target
    this.#wire = {
      ...this.#wire,
      method: decision.method,
      origin: decision.target.origin,
      path: decision.target.path,
      headers: redirectHeaders(this.#wire.headers, decision, sensitiveHeaders),
      body: decision.keepBody ? this.#wire.body : undefined,
    }
    const { content } = this.#prepared.body
    // A stream that was made for this attempt has been read: the next hop gets one of its own.
    if (decision.keepBody && typeof content === 'function') this.#sendMade(content)
    else this.#exchange = this.#core.transport.send(this.#wire, this)
    return true
  }

  /** @throws CommsError `BAD_RESPONSE` */
  #readBody(response: HttpResponse): unknown {
    const { body, headers } = response
    if (!(body instanceof Uint8Array)) return body
    try {
      return parseBody(body, headers['content-type'], this.#options.responseType, this.#core.transport)
    } catch (error) {
      if (!(error instanceof CommsError)) throw error
      throw new CommsError(`${this.#wire.method} ${this.url}: ${error.message}`, {
        code: error.code,
        cause: error.cause,
      })
    }
  }

  #statusError(response: HttpResponse): ApiError {
    const { status, headers, body } = response
    return new ApiError(`HTTP ${status}: ${this.#wire.method} ${this.url}`, {
      status,
      headers,
      url: this.url,
      body:
        body instanceof Uint8Array
          ? parseErrorBody(body, headers['content-type'], this.#core.transport)
          : undefined,
      retryAfter: retryAfterMs(headers, this.#core.clock.wallNow()),
    })
  }

  #succeed(): void {
    this.#end('success')
    this.#owner.attemptSucceeded(this)
  }

  #fail(error: unknown): void {
    if (this.#over) return
    this.#end(breakerOutcome(error))
    this.#owner.attemptFailed(this, error)
  }

  #end(outcome: Outcome): void {
    this.#over = true
    const now = this.#core.clock.now()
    this.endedAt = now
    if (this.#timeout) this.#core.deadlines.cancel(this.#timeout)
    if (this.#permit !== REFUSED) this.#breaker?.record(this.#permit, outcome, now, now - this.startedAt)
  }

  #giveBackPermit(): void {
    if (this.#permit === REFUSED) return
    this.#breaker?.record(this.#permit, 'ignored', this.#core.clock.now(), 0)
    this.#permit = REFUSED
  }
}
