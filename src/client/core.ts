// What the calls of one client share. Made bit by bit, when first needed: a client that is only configured should weigh little.

import { capabilities, createHttpTransport } from '#http-transport'
import type { Emitter } from '../core/emitter.ts'
import { CommsError } from '../core/errors.ts'
import { lazily } from '../core/lazily.ts'
import { checkOption, checkOptions, checkValues, optionError, withDefaults } from '../core/options.ts'
import { SlotList, type Slotted } from '../core/slotList.ts'
import { backoffDelay } from '../policies/backoff.ts'
import type { Inner } from '../policies/layer.ts'
import type { Bucket } from '../policies/rateLimiter/keyedBuckets.ts'
import { RateLimiter } from '../policies/rateLimiter/RateLimiter.ts'
import type { TokenQueue, TokenRequest } from '../policies/rateLimiter/TokenQueue.ts'
import { retryBackoff } from '../policies/retry/options.ts'
import { RetryBudget } from '../policies/retry/retryBudget.ts'
import { Deadlines } from '../policies/timeout/Deadlines.ts'
import { createHttpTransport as createFetchTransport } from '../transport/fetchTransport.ts'
import type { HttpTransport } from '../transport/HttpTransport.ts'
import { Breakers } from './breakers.ts'
import { Call, fromCaller, type Wanted } from './call.ts'
import type { ApiClientEvents } from './events.ts'
import type { ErrorInterceptor, RequestInterceptor, ResponseInterceptor } from './interceptors.ts'
import {
  type ApiClientOptions,
  type CallOptions,
  type ClientSettings,
  clientDefaults,
  clientRules,
  requestRules,
  type TokenSource,
} from './options.ts'
import { pipelineOf } from './pipeline.ts'
import { Requests } from './requests.ts'

/** Something under way that has to end when the client is disposed of. */
export interface Live extends Slotted {
  end(error: CommsError): void
}

/** What a policy around a call leaves of its options. */
export type Inherited = Pick<CallOptions, 'signal' | 'callerSignal' | 'deadlineAt'>

/** What runs around calls. */
export interface InterceptorLists {
  request: readonly RequestInterceptor[]
  response: readonly ResponseInterceptor[]
  error: readonly ErrorInterceptor[]
}

export const noOptions: CallOptions = Object.freeze({})
const none: readonly never[] = Object.freeze([])
const queueing = lazily(() => import('../policies/rateLimiter/TokenQueue.ts'))

export class ClientCore {
  /** In force; `Call` reads them anew. */
  readonly settings: ClientSettings
  readonly transport: HttpTransport
  readonly breakers: Breakers
  /** Calls under way, streams that are being read included. */
  readonly live = new SlotList<Live>()
  /** Counts since the start. */
  readonly counters = {
    totalRequests: 0,
    successfulRequests: 0,
    failedRequests: 0,
    attempts: 0,
    retries: 0,
    hedges: 0,
    timeouts: 0,
    aborted: 0,
  }
  /** Lists are replaced, never changed: a call that walks one is not disturbed. */
  readonly interceptors: InterceptorLists = { request: none, response: none, error: none }
  disposed = false
  readonly #token: TokenSource | undefined
  /** Calls are numbered, so that events tell which is theirs. */
  lastCallId = 0
  readonly #events: Emitter<ApiClientEvents>
  #queue: TokenQueue | undefined
  #requests: Requests
  #limiter: RateLimiter | undefined
  #tools: ReturnType<typeof makeTools> | undefined
  #pipeline: Inner<Call> | undefined

  /** @throws TypeError, RangeError or CommsError for options that cannot be used */
  constructor(options: ApiClientOptions, events: Emitter<ApiClientEvents>) {
    checkOptions('ApiClient', options, clientRules)
    this.settings = withDefaults<ClientSettings>(clientDefaults, options)
    this.#events = events
    const { auth, token } = options
    if (auth && token !== undefined)
      throw optionError('ApiClient', 'token', 'must not be given together with "auth", which has one', token)
    this.#token = auth ? () => auth.token() : token
    this.transport = transportOf(this.settings)
    this.#requests = new Requests(this.settings, this.transport)
    this.breakers = new Breakers(options.circuitBreakerOptions, this.settings.clock, (event) =>
      this.tell('warn', 'breaker', event),
    )
    // Options that were given are checked now, not at the first call.
    if (options.rateLimiterOptions) this.#limiter = makeLimiter(this.settings)
    if (options.retryBudget) this.#tools = makeTools(this.settings)
  }

  get requests(): Requests {
    return this.#requests
  }

  /** @throws CommsError when it is no URL to be based on; the old one stays */
  rebase(baseURL: string): void {
    this.#requests = new Requests({ ...this.settings, baseURL }, this.transport)
    this.settings.baseURL = baseURL
  }

  /** Whether more happens to calls than being sent: see `asking.ts`. */
  get intercepts(): boolean {
    const { request, response, error } = this.interceptors
    const { validate, hedge, coalesce, learnRateLimits } = this.settings
    return !!(
      validate ||
      hedge ||
      coalesce ||
      learnRateLimits ||
      request.length + response.length + error.length
    )
  }

  /** Runs something under the policy of the client, when it has one; time spent in the policy is time of the call. */
  underPolicy<T>(options: CallOptions, operation: (inherited: Inherited) => Promise<T>): Promise<T> {
    const { signal } = options
    const { policy } = this.settings
    if (!policy) return operation({ signal })
    return policy.execute(
      (inner) => operation({ signal: inner.signal, callerSignal: signal, deadlineAt: inner.deadlineAt }),
      { signal, attempt: 1, deadlineAt: this.deadlineOf(options) },
    )
  }

  /**
   * Starts a call.
   * @returns the promise of what is wanted of its answer; rejects with what is wrong with what was asked for, too
   */
  call(
    method: string,
    url: string | URL,
    data: unknown,
    options: CallOptions,
    wanted: Wanted,
  ): Promise<unknown> {
    try {
      this.check(options)
      const prepared = this.requests.prepare(method, url, data, options)
      // A category that does not exist is a mistake of the caller, whether or not there is a token left.
      if (options.rateCategory !== undefined) this.limiter.getInfo(prepared.endpoint, options.rateCategory)
      const call = new Call(this, prepared, options, wanted)
      call.start()
      return call.promise
    } catch (error) {
      return Promise.reject(fromCaller(error, this.call))
    }
  }

  /** @throws CommsError `DISPOSED`; TypeError or RangeError naming the option */
  check(options: CallOptions): void {
    if (this.disposed) throw disposedError()
    if (options !== noOptions) checkValues('ApiClient', options, requestRules)
  }

  /** What each attempt is authorized with. */
  get token(): TokenSource | undefined {
    return this.#token
  }

  get limiter(): RateLimiter {
    this.#limiter ??= makeLimiter(this.settings)
    return this.#limiter
  }

  /** What runs calls: made at the first one. */
  get tools(): ReturnType<typeof makeTools> {
    this.#tools ??= makeTools(this.settings)
    return this.#tools
  }

  /** What every call goes through. */
  get pipeline(): Inner<Call> {
    this.#pipeline ??= pipelineOf(this)
    return this.#pipeline
  }

  /**
   * Waits for the tokens of a bucket that has refused.
   * @throws RateLimitError when its turn would come too late; CommsError `LOAD_FAILED`
   */
  async waitForToken(endpoint: string, bucket: Bucket, request: TokenRequest): Promise<void> {
    // Who comes meanwhile is behind.
    bucket.waiting += 1
    try {
      const { TokenQueue } = await queueing()
      this.#queue ??= new TokenQueue(this.limiter, this.settings.clock, this.settings.unref)
    } finally {
      bucket.waiting -= 1
    }
    if (this.disposed) throw disposedError()
    return this.#queue.join(endpoint, bucket, request)
  }

  /** When a call that starts now must be over. */
  deadlineOf(options: CallOptions, now: number = this.settings.clock.now()): number {
    return options.deadlineAt ?? now + (options.deadline ?? this.settings.deadline)
  }

  /** How long to wait before a repetition, 1 for the first. */
  backoffMs(repetition: number): number {
    return backoffDelay(this.tools.backoff, repetition, this.settings.random)
  }

  /** Whether anybody would hear of this: telling costs more than asking. */
  hears(event: keyof ApiClientEvents): boolean {
    return this.settings.enableLogging || this.#events.listenerCount(event) > 0
  }

  /** An event, and a line for the developer. What is told has been freed of secrets. */
  tell<K extends keyof ApiClientEvents>(
    level: 'debug' | 'warn',
    event: K,
    fields: ApiClientEvents[K][0],
  ): void {
    this.#events.emit(event, ...([fields] as ApiClientEvents[K]))
    this.log(level, event, fields)
  }

  /** `GET https://example.com/: retry, attempt 1, delay 500, ...` */
  log(level: 'debug' | 'warn', what: string, fields: object): void {
    if (!this.settings.enableLogging) return
    const { method = '', url = '', ...rest } = fields as Record<string, unknown>
    const parts = Object.entries(rest)
      .filter(([, value]) => !Array.isArray(value))
      .map(([name, value]) => `, ${name} ${value}`)
    const { logger } = this.settings
    try {
      logger[level](`${method} ${url}: ${what}${parts.join('')}`)
    } catch (error) {
      // As with listeners: what is told changes nothing of what happens.
      console.error('the logger threw:', error)
    }
  }

  dispose(): void {
    if (this.disposed) return
    this.disposed = true
    for (const live of this.live.snapshot()) live.end(disposedError())
    this.#queue?.clear(disposedError())
    this.transport.dispose()
  }
}

/** @throws TypeError naming an option that the transport cannot keep */
function transportOf(settings: ClientSettings): HttpTransport {
  const { transport, fetch, dispatcher, credentials } = settings
  const given = Object.entries({ transport, fetch, dispatcher }).filter(([, value]) => value !== undefined)
  const [first, second] = given
  if (first && second)
    throw optionError('ApiClient', second[0], `must not be given together with "${first[0]}"`, second[1])
  if (transport) return transport
  if (fetch) return createFetchTransport(settings)
  if (dispatcher && !capabilities.dispatchers)
    throw optionError(
      'ApiClient',
      'dispatcher',
      'needs undici, which this platform does not have',
      dispatcher,
    )
  if (credentials && capabilities.dispatchers)
    throw optionError('ApiClient', 'credentials', 'is for browsers: here nothing sends cookies', credentials)
  return createHttpTransport(settings)
}

function makeLimiter({ rateLimiter, clock, rateLimiterOptions }: ClientSettings): RateLimiter {
  const { scope, ...options } = rateLimiterOptions ?? {}
  if (scope !== undefined)
    checkOption('ApiClient', 'rateLimiterOptions.scope', scope, '"endpoint" or "origin" or a function')
  return new RateLimiter({ enabled: rateLimiter, clock, ...options })
}

function makeTools(settings: ClientSettings) {
  const { clock, unref, retryBudget } = settings
  return {
    deadlines: new Deadlines(clock, unref),
    budget: retryBudget instanceof RetryBudget ? retryBudget : new RetryBudget(retryBudget),
    backoff: retryBackoff(settings),
  }
}

function disposedError(): CommsError {
  return new CommsError('the client has been disposed of', { code: 'DISPOSED' })
}
