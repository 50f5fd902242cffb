// The HTTP client: its public face. What it decides stands in http/ and policies/, how a call runs in client/.

/// <reference lib="esnext.disposable" preserve="true" />

import { ClientCore, type InterceptorLists, noOptions } from './client/core.ts'
import type { ApiClientEvents } from './client/events.ts'
import type { ErrorInterceptor, RequestInterceptor, ResponseInterceptor } from './client/interceptors.ts'
import {
  type ApiClientOptions,
  type CallOptions,
  checkStreamOptions,
  clientRules,
  configRules,
  type RequestConfig,
  type RequestOptions,
  requestRules,
  type StreamOptions,
} from './client/options.ts'
import { StreamIterator } from './client/streamIterator.ts'
import { Emitter } from './core/emitter.ts'
import { ahead, lazily } from './core/lazily.ts'
import {
  callable,
  checkNames,
  checkOption,
  checkOptions,
  plainObject,
  type Resolved,
  withDefaults,
} from './core/options.ts'
import { markAsOwnFetch } from './core/platformFetch.ts'
import type { ServerSentEvent } from './http/serverSentEvents.ts'
import type { BreakerSnapshot } from './policies/circuitBreaker/breakerMachine.ts'
import type { CircuitBreakerState } from './policies/circuitBreaker/CircuitBreaker.ts'
import type { ResolvedCircuitBreakerOptions } from './policies/circuitBreaker/options.ts'
import type { RateLimiter, RateLimiterStats } from './policies/rateLimiter/RateLimiter.ts'

export type { ApiClientEvents, AttemptTimings } from './client/events.ts'
export type {
  ClientResponse,
  ErrorInterceptor,
  InterceptedConfig,
  RequestInterceptor,
  ResponseInterceptor,
} from './client/interceptors.ts'
export type {
  ApiClientOptions,
  ClientRateLimiterOptions,
  LimitedRequest,
  RequestConfig,
  RequestOptions,
  StreamOptions,
} from './client/options.ts'
export {
  AbortError,
  ApiError,
  BulkheadError,
  CircuitBreakerError,
  CommsError,
  NetworkError,
  RateLimitError,
  TimeoutError,
} from './core/errors.ts'
export { SchemaError } from './core/schemaError.ts'
export type { StandardSchema } from './core/standardSchema.ts'
export type { ServerSentEvent } from './http/serverSentEvents.ts'
export type { BreakerSnapshot } from './policies/circuitBreaker/breakerMachine.ts'
export { CircuitBreaker, type CircuitBreakerState } from './policies/circuitBreaker/CircuitBreaker.ts'

/** What `getStats()` tells. */
export interface ApiClientStats {
  /** Calls made. */
  totalRequests: number
  successfulRequests: number
  failedRequests: number
  /** Calls under way, streams that are being read included. */
  inFlight: number
  /** Attempts sent, first ones and retries. */
  attempts: number
  retries: number
  /** Calls made once more because the answer was slow. */
  hedges: number
  timeouts: number
  aborted: number
  /** Of the origin of `baseURL`. */
  circuitBreaker: CircuitBreakerState
  rateLimiter: RateLimiterStats
}

const asking = lazily(() => import('./client/asking.ts'))
const streaming = lazily(() => import('./client/streaming.ts'))
const fetching = lazily(() => import('./client/fetch.ts'))

/**
 * A resilient HTTP client: retries what may be repeated, stops calling what is down, keeps to limits, ends in time.
 *
 * Every call resolves to the parsed body and rejects with an error of the family `CommsError`.
 */
export class ApiClient extends Emitter<ApiClientEvents> {
  readonly #core: ClientCore

  /** @throws TypeError or RangeError naming the option; CommsError when `baseURL` or a header cannot be used */
  constructor(options: ApiClientOptions = {}) {
    super()
    this.#core = new ClientCore(options, this)
    markAsOwnFetch(this.fetch)
    if (this.#core.intercepts) ahead(asking)
  }

  get<T = unknown>(url: string | URL, options?: RequestOptions<T>): Promise<T> {
    return this.#run('GET', url, undefined, options) as Promise<T>
  }

  post<T = unknown>(url: string | URL, data?: unknown, options?: RequestOptions<T>): Promise<T> {
    return this.#run('POST', url, data, options) as Promise<T>
  }

  put<T = unknown>(url: string | URL, data?: unknown, options?: RequestOptions<T>): Promise<T> {
    return this.#run('PUT', url, data, options) as Promise<T>
  }

  patch<T = unknown>(url: string | URL, data?: unknown, options?: RequestOptions<T>): Promise<T> {
    return this.#run('PATCH', url, data, options) as Promise<T>
  }

  delete<T = unknown>(url: string | URL, options?: RequestOptions<T>): Promise<T> {
    return this.#run('DELETE', url, undefined, options) as Promise<T>
  }

  head<T = unknown>(url: string | URL, options?: RequestOptions<T>): Promise<T> {
    return this.#run('HEAD', url, undefined, options) as Promise<T>
  }

  options<T = unknown>(url: string | URL, options?: RequestOptions<T>): Promise<T> {
    return this.#run('OPTIONS', url, undefined, options) as Promise<T>
  }

  /** A call of any method: `{ method, url, data, ...options }`. */
  request<T = unknown>(config: RequestConfig<T>): Promise<T>
  /** The same, as the original had it. */
  request<T = unknown>(
    method: string,
    url: string | URL,
    options?: Omit<RequestConfig<T>, 'method' | 'url'>,
  ): Promise<T>
  request<T = unknown>(
    given: RequestConfig<T> | string,
    url?: string | URL,
    options?: Omit<RequestConfig<T>, 'method' | 'url'>,
  ): Promise<T> {
    const config =
      typeof given === 'string' ? ({ ...options, method: given, url } as RequestConfig<T>) : given
    return this.#run(
      String(config?.method ?? 'GET').toUpperCase(),
      config?.url,
      config?.data,
      config,
      configRules,
    ) as Promise<T>
  }

  /**
   * A response as it comes: server-sent events, or with `format: 'ndjson'` one JSON value a line. The attempt ends at the
   * headers; `idleTimeout` then limits the silence of the line, `eventTimeout` that between two events. Leaving the loop, and
   * `return()` at any time, ends the request.
   * @throws what a call throws, while it is opened and while it is read
   */
  stream(
    url: string | URL,
    options?: StreamOptions & { format?: 'sse' | undefined },
  ): AsyncIterableIterator<ServerSentEvent>
  stream<T = unknown>(
    url: string | URL,
    options: StreamOptions & { format: 'ndjson' },
  ): AsyncIterableIterator<T>
  stream(url: string | URL, options: StreamOptions = {}): AsyncIterableIterator<unknown> {
    checkStreamOptions(options)
    return new StreamIterator((signal) => this.#stream(url, options, signal), options.signal)
  }

  async *#stream(
    url: string | URL,
    options: StreamOptions,
    signal: AbortSignal,
  ): AsyncGenerator<unknown, void, undefined> {
    const { openStream } = await streaming()
    yield* openStream(this.#core, url, options, signal)
  }

  /**
   * WHATWG `fetch` with every policy of this client: give it to libraries that take a `fetch` of their own, and switch their
   * retries off. Bound to the client, so it can be passed on as it is. Request interceptors see its requests.
   * @throws `signal.reason` when aborted; TypeError when the network fails; CommsError where a policy refused or time ran out
   */
  readonly fetch = async (input: string | URL | Request, init?: RequestInit | null): Promise<Response> => {
    const { signal: given = (input as Request | null)?.signal } = init ?? {}
    // `null` takes the signal of a Request away.
    const signal = given ?? undefined
    try {
      return await this.#core.underPolicy({ signal }, async (inherited) => {
        const { runFetch } = await fetching()
        return runFetch(this.#core, input, init ?? {}, inherited)
      })
    } catch (error) {
      const { asFetchError } = await fetching()
      throw asFetchError(error, signal)
    }
  }

  /**
   * Another client with these options over this one's, its headers joined to this one's, and the same interceptors. Breakers,
   * limits, statistics and connections are its own.
   * @throws as the constructor
   */
  extend(options: ApiClientOptions = {}): ApiClient {
    checkOptions('ApiClient.extend', options, clientRules)
    const { settings, requests, interceptors } = this.#core
    const headers = requests.fieldsOf(settings.headers, options.headers)
    const extended = new ApiClient({ ...withDefaults(settings, options), headers })
    Object.assign(extended.#core.interceptors, interceptors)
    return extended
  }

  /** Runs before every call, in the order added. @returns a function that removes it */
  addRequestInterceptor(interceptor: RequestInterceptor): () => void {
    return this.#add('request', interceptor)
  }

  /** Runs after every answered call. @returns a function that removes it */
  addResponseInterceptor(interceptor: ResponseInterceptor): () => void {
    return this.#add('response', interceptor)
  }

  /** Runs after every failed call. @returns a function that removes it */
  addErrorInterceptor(interceptor: ErrorInterceptor): () => void {
    return this.#add('error', interceptor)
  }

  removeRequestInterceptor(interceptor: RequestInterceptor): boolean {
    return this.#remove('request', interceptor)
  }

  removeResponseInterceptor(interceptor: ResponseInterceptor): boolean {
    return this.#remove('response', interceptor)
  }

  removeErrorInterceptor(interceptor: ErrorInterceptor): boolean {
    return this.#remove('error', interceptor)
  }

  get baseURL(): string | undefined {
    return this.#core.settings.baseURL
  }

  set baseURL(value: string) {
    checkOption('ApiClient', 'baseURL', value, clientRules.baseURL)
    this.#core.rebase(value)
  }

  get timeout(): number {
    return this.#core.settings.timeout
  }

  set timeout(value: number) {
    this.#set('timeout', value)
  }

  get retries(): number {
    return this.#core.settings.retries
  }

  set retries(value: number) {
    this.#set('retries', value)
  }

  get enableLogging(): boolean {
    return this.#core.settings.enableLogging
  }

  set enableLogging(value: boolean) {
    this.#set('enableLogging', value)
  }

  /** The options of the breakers; each can be assigned and takes effect at once. */
  get circuitBreaker(): ResolvedCircuitBreakerOptions {
    return this.#core.breakers.options
  }

  /** The limiter: `limits`, `enable()`, `disable()`, ... */
  get rateLimiter(): RateLimiter {
    return this.#core.limiter
  }

  /** @param origin default: the origin of `baseURL` */
  getCircuitBreakerState(origin?: string): CircuitBreakerState {
    return this.#core.breakers.state(this.#originOf(origin))
  }

  /** Closes the breaker of one origin, or all of them. */
  resetCircuitBreaker(origin?: string): void {
    this.#core.breakers.reset(origin === undefined ? undefined : this.#originOf(origin))
  }

  /** Holds the breaker of an origin open until `resetCircuitBreaker`: for maintenance. */
  isolateCircuitBreaker(origin?: string): void {
    this.#core.breakers.of(this.#originOf(origin)).isolate()
  }

  /** What the breakers know, by origin, fit for JSON: for `restoreCircuitBreakers` of another process or a later start. */
  snapshotCircuitBreakers(): Record<string, BreakerSnapshot> {
    return this.#core.breakers.snapshot()
  }

  /**
   * Takes up where a snapshot left off: what was open stays open for the rest of its time.
   * @throws TypeError or RangeError naming what is wrong with it; then nothing has changed
   */
  restoreCircuitBreakers(snapshots: Readonly<Record<string, BreakerSnapshot>>): void {
    checkOption('ApiClient.restoreCircuitBreakers', 'snapshots', snapshots, plainObject)
    for (const origin of Object.keys(snapshots)) this.#originOf(origin)
    this.#core.breakers.restore(snapshots)
  }

  getRateLimiterStats(): RateLimiterStats {
    return this.#core.limiter.getStats()
  }

  /** Fills every bucket and sets the counts to 0. */
  resetRateLimiter(): void {
    this.#core.limiter.clear()
    this.#core.limiter.resetStats()
  }

  getStats(): ApiClientStats {
    const { counters, live } = this.#core
    return {
      ...counters,
      inFlight: live.size,
      circuitBreaker: this.getCircuitBreakerState(),
      rateLimiter: this.getRateLimiterStats(),
    }
  }

  /** Ends every call under way with `DISPOSED`, closes its connections, removes its listeners. Harmless when repeated. */
  dispose(): void {
    this.#core.dispose()
    this.removeAllListeners()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  #originOf(origin: string | undefined): string {
    if (origin === undefined) return this.#core.requests.rules.base?.origin ?? ''
    try {
      return new URL(origin).origin
    } catch {
      throw new TypeError(`ApiClient: origin must be a URL, got "${origin}"`)
    }
  }

  #set<K extends 'timeout' | 'retries' | 'enableLogging'>(
    name: K,
    value: Resolved<ApiClientOptions>[K],
  ): void {
    checkOption('ApiClient', name, value, clientRules[name])
    this.#core.settings[name] = value
  }

  #add<K extends keyof InterceptorLists>(kind: K, interceptor: InterceptorLists[K][number]): () => void {
    checkOption('ApiClient', `${kind} interceptor`, interceptor, callable)
    const lists = this.#core.interceptors
    lists[kind] = [...lists[kind], interceptor] as unknown as InterceptorLists[K]
    ahead(asking)
    return () => {
      this.#remove(kind, interceptor)
    }
  }

  /** @returns whether it was there */
  #remove<K extends keyof InterceptorLists>(kind: K, interceptor: InterceptorLists[K][number]): boolean {
    const list: readonly unknown[] = this.#core.interceptors[kind]
    const index = list.indexOf(interceptor)
    if (index >= 0) this.#core.interceptors[kind] = list.toSpliced(index, 1) as unknown as InterceptorLists[K]
    return index >= 0
  }

  #run(
    method: string,
    url: string | URL,
    data: unknown,
    options: RequestOptions = noOptions,
    rules: typeof requestRules = requestRules,
  ): Promise<unknown> {
    const core = this.#core
    if (options !== noOptions) {
      try {
        checkOption('ApiClient', 'options', options, plainObject)
        checkNames('ApiClient', options, rules)
      } catch (error) {
        return Promise.reject(error)
      }
    }
    if (!core.settings.policy) return this.#answer(method, url, data, options)
    return core.underPolicy(options, (inherited) =>
      this.#answer(method, url, data, { ...options, ...inherited }),
    )
  }

  #answer(method: string, url: string | URL, data: unknown, options: CallOptions): Promise<unknown> {
    const core = this.#core
    if (options.schema || options.responseType === 'stream' || core.intercepts)
      return this.#ask(method, url, data, options)
    return core.call(method, url, data, options, 'data')
  }

  async #ask(method: string, url: string | URL, data: unknown, options: CallOptions): Promise<unknown> {
    const { askIntercepted } = await asking()
    return askIntercepted(this.#core, method, url, data, options)
  }
}
