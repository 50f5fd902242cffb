// What the calls of one client share. Made bit by bit, when first needed: a client that is only configured should weigh little.

import type { Clock } from '../core/clock.ts'
import type { Emitter } from '../core/emitter.ts'
import { CommsError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { Random } from '../core/random.ts'
import { SlotList, type Slotted } from '../core/slotList.ts'
import type { Backoff } from '../policies/backoff.ts'
import type { RateLimitLearner } from '../policies/rateLimiter/learnRateLimits.ts'
import { RateLimiter, type RateLimiterOptions } from '../policies/rateLimiter/RateLimiter.ts'
import { TokenQueue } from '../policies/rateLimiter/TokenQueue.ts'
import { retryBackoff, retryDefaults } from '../policies/retry/options.ts'
import { RetryBudget } from '../policies/retry/retryBudget.ts'
import { Deadlines } from '../policies/timeout/Deadlines.ts'
import type { HttpTransport } from '../transport/HttpTransport.ts'
import { Breakers } from './breakers.ts'
import type { ApiClientEvents } from './events.ts'
import type { ApiClientOptions, CallOptions, ClientSettings } from './options.ts'
import { Requests } from './requests.ts'

/** Something under way that has to end when the client is disposed of. */
export interface Live extends Slotted {
  end(error: CommsError): void
}

/** Counts since the start. */
export interface Counters {
  requests: number
  succeeded: number
  failed: number
  attempts: number
  retries: number
  hedges: number
  timeouts: number
  aborted: number
}

export class ClientCore {
  readonly settings: ClientSettings
  readonly clock: Clock
  readonly random: Random
  readonly transport: HttpTransport
  readonly breakers: Breakers
  readonly events: Emitter<ApiClientEvents>
  readonly sensitiveHeaders: ReadonlySet<string>
  readonly learner: RateLimitLearner | undefined
  readonly counters: Counters = {
    requests: 0,
    succeeded: 0,
    failed: 0,
    attempts: 0,
    retries: 0,
    hedges: 0,
    timeouts: 0,
    aborted: 0,
  }
  readonly live = new SlotList<Live>()
  readonly #options: ApiClientOptions
  readonly #logger: Logger
  #baseURL: string | undefined
  #requests: Requests
  #limiter: RateLimiter | undefined
  #tokens: TokenQueue | undefined
  #deadlines: Deadlines | undefined
  #budget: RetryBudget | undefined
  #backoff: Backoff | undefined
  disposed = false

  /** @throws TypeError, RangeError or CommsError for options that cannot be used */
  constructor(
    options: ApiClientOptions,
    parts: {
      settings: ClientSettings
      clock: Clock
      random: Random
      transport: HttpTransport
      events: Emitter<ApiClientEvents>
      logger: Logger
    },
  ) {
    this.#options = options
    this.settings = parts.settings
    this.clock = parts.clock
    this.random = parts.random
    this.transport = parts.transport
    this.events = parts.events
    this.#logger = parts.logger
    this.learner = options.learnRateLimits
    this.sensitiveHeaders = new Set(options.sensitiveHeaders?.map((name) => name.toLowerCase()))
    this.breakers = new Breakers(options.circuitBreakerOptions ?? {}, this.clock, (origin, state, reason) => {
      this.events.emit('breaker', { origin, state, reason })
      if (this.settings.enableLogging)
        this.#logger.warn(`circuit breaker of ${origin} is ${state}: ${reason}`)
    })
    this.#baseURL = options.baseURL
    this.#requests = this.#makeRequests()
    // Options that were given are checked now, not at the first call.
    if (options.retryBudget) this.#budget = budgetOf(options.retryBudget)
    if (options.rateLimiterOptions) this.#limiter = this.#makeLimiter(options.rateLimiterOptions)
  }

  get baseURL(): string | undefined {
    return this.#baseURL
  }

  /** @throws CommsError when it is no URL to be based on; the old one stays */
  set baseURL(value: string | undefined) {
    const before = this.#baseURL
    this.#baseURL = value
    try {
      this.#requests = this.#makeRequests()
    } catch (error) {
      this.#baseURL = before
      throw error
    }
  }

  get requests(): Requests {
    return this.#requests
  }

  /** A setting that prepared requests depend on has changed. */
  forgetRequests(): void {
    this.#requests = this.#makeRequests()
  }

  get limiter(): RateLimiter {
    this.#limiter ??= this.#makeLimiter({})
    return this.#limiter
  }

  /** Those who wait for a token. */
  get tokens(): TokenQueue {
    this.#tokens ??= new TokenQueue(this.limiter, this.clock, this.settings.unref)
    return this.#tokens
  }

  get deadlines(): Deadlines {
    this.#deadlines ??= new Deadlines(this.clock, this.settings.unref)
    return this.#deadlines
  }

  get budget(): RetryBudget {
    this.#budget ??= budgetOf(this.#options.retryBudget)
    return this.#budget
  }

  get backoff(): Backoff {
    const { retryDelay, maxRetryDelay, jitter } = this.settings
    this.#backoff ??= retryBackoff({ ...retryDefaults, retryDelay, maxRetryDelay, jitter })
    return this.#backoff
  }

  /** When a call that starts now must be over. */
  deadlineOf(options: CallOptions, now: number = this.clock.now()): number {
    return options.deadlineAt ?? now + (options.deadline ?? this.settings.deadline)
  }

  /** A line for the developer, already free of secrets; the parts are only made when somebody reads them. */
  log(level: 'debug' | 'warn', line: () => string): void {
    if (this.settings.enableLogging) this.#logger[level](line())
  }

  dispose(): void {
    if (this.disposed) return
    this.disposed = true
    const error = disposedError()
    this.#tokens?.clear(error)
    for (const live of this.live.snapshot()) live.end(error)
    this.transport.dispose()
  }

  #makeRequests(): Requests {
    return new Requests(this.settings, {
      baseURL: this.#baseURL,
      headers: this.#options.headers,
      allowedOrigins: this.#options.allowedOrigins,
      sensitive: this.sensitiveHeaders,
      acceptEncoding: this.transport.acceptEncoding,
    })
  }

  #makeLimiter(options: RateLimiterOptions): RateLimiter {
    return new RateLimiter({ enabled: this.settings.rateLimiter, clock: this.clock, ...options })
  }
}

function budgetOf(given: ApiClientOptions['retryBudget'] = {}): RetryBudget {
  return given instanceof RetryBudget ? given : new RetryBudget(given)
}

export function disposedError(): CommsError {
  return new CommsError('the client has been disposed of: make a new one', { code: 'DISPOSED' })
}
