// The HTTP client: its public face. What it decides stands in http/ and policies/, how a call runs in client/.

import { createHttpTransport } from '#http-transport'
import { Call } from './client/call.ts'
import { ClientCore, disposedError } from './client/core.ts'
import type { ApiClientEvents } from './client/events.ts'
import { asFetchError, runFetch } from './client/fetch.ts'
import {
  type ClientResponse,
  type ErrorInterceptor,
  type InterceptedConfig,
  Interceptors,
  interceptError,
  interceptRequest,
  interceptResponse,
  type RequestInterceptor,
  type ResponseInterceptor,
} from './client/interceptors.ts'
import {
  type ApiClientOptions,
  type CallOptions,
  type ClientSettings,
  checkRequestOptions,
  clientDefaults,
  clientRules,
  type RequestConfig,
  type RequestOptions,
  type StreamOptions,
} from './client/options.ts'
import { applySchema } from './client/schema.ts'
import { Sharing } from './client/sharing.ts'
import { type Ask, openStream } from './client/streaming.ts'
import { Emitter } from './core/emitter.ts'
import { checkOption, checkOptions, plainObject } from './core/options.ts'
import { systemRandom } from './core/random.ts'
import type { StandardSchema } from './core/standardSchema.ts'
import { systemClock } from './core/systemClock.ts'
import type { HeaderFields } from './http/headers.ts'
import { emptyFields, setHeaders } from './http/headers.ts'
import type { ServerSentEvent } from './http/serverSentEvents.ts'
import type { BreakerSnapshot } from './policies/circuitBreaker/breakerMachine.ts'
import type { CircuitBreakerState } from './policies/circuitBreaker/CircuitBreaker.ts'
import type { ResolvedCircuitBreakerOptions } from './policies/circuitBreaker/options.ts'
import type { Policy } from './policies/Policy.ts'
import type { RateLimiter, RateLimiterStats } from './policies/rateLimiter/RateLimiter.ts'

export type { ApiClientEvents, AttemptTimings } from './client/events.ts'
export type {
  ClientResponse,
  ErrorInterceptor,
  InterceptedConfig,
  RequestInterceptor,
  ResponseInterceptor,
} from './client/interceptors.ts'
export type { ApiClientOptions, RequestConfig, RequestOptions, StreamOptions } from './client/options.ts'
export {
  AbortError,
  ApiError,
  BulkheadError,
  CircuitBreakerError,
  CommsError,
  NetworkError,
  RateLimitError,
  SchemaError,
  TimeoutError,
} from './core/errors.ts'
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

const noOptions: RequestOptions = Object.freeze({})

/**
 * A resilient HTTP client: retries what may be repeated, stops calling what is down, keeps to limits, ends in time.
 *
 * Every call resolves to the parsed body and rejects with an error of the family `CommsError`.
 */
export class ApiClient extends Emitter<ApiClientEvents> {
  readonly #core: ClientCore
  readonly #settings: ClientSettings
  readonly #onRequest = new Interceptors<RequestInterceptor>()
  readonly #onResponse = new Interceptors<ResponseInterceptor>()
  readonly #onError = new Interceptors<ErrorInterceptor>()
  readonly #given: ApiClientOptions
  readonly #policy: Policy | undefined
  /** Only where hedging or coalescing was asked for. */
  readonly #sharing: Sharing | undefined

  /** @throws TypeError or RangeError naming the option; CommsError when `baseURL` or a header cannot be used */
  constructor(options: ApiClientOptions = {}) {
    super()
    checkOptions('ApiClient', options, clientRules)
    const settings = settingsOf(options)
    const transport =
      options.transport ??
      createHttpTransport({
        connectTimeout: settings.connectTimeout,
        maxHeaderBytes: settings.maxHeaderBytes,
        dispatcher: options.dispatcher,
        fetch: options.fetch,
        credentials: options.credentials,
      })
    this.#settings = settings
    this.#given = options
    this.#policy = options.policy
    this.#core = new ClientCore(options, {
      settings,
      clock: options.clock ?? systemClock,
      random: options.random ?? systemRandom,
      transport,
      events: this,
      logger: options.logger ?? console,
    })
    const { hedge, coalesce = false } = options
    this.#sharing = hedge || coalesce ? new Sharing(this.#core, { hedge, coalesce }) : undefined
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
  request<T = unknown>(config: RequestConfig<T>): Promise<T> {
    return this.#run((config?.method ?? 'GET').toUpperCase(), config?.url, config?.data, config) as Promise<T>
  }

  /**
   * A response as it comes: server-sent events, or with `format: 'ndjson'` one JSON value a line. The attempt ends at the
   * headers; `idleTimeout` then limits the silence between two events. Leaving the loop ends the request.
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
    const ask: Ask = async (method, data, asked) => (await this.#ask(method, url, data, asked)).call.answer
    return openStream(this.#core, ask, options)
  }

  /**
   * WHATWG `fetch` with every policy of this client: give it to libraries that take a `fetch` of their own, and switch their
   * retries off. Bound to the client, so it can be passed on as it is. Request interceptors see its requests.
   * @throws `signal.reason` when aborted; TypeError when the network fails; CommsError where a policy refused or time ran out
   */
  readonly fetch = (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const given = init?.signal ?? (input instanceof Request ? input.signal : undefined)
    const answered = this.#guarded({ signal: given }, ({ signal, ...inherited }) =>
      runFetch(
        async (url, method, data, options) =>
          (await this.#ask(method, url, data, { ...options, ...inherited })).call.answer,
        input,
        signal === given ? init : { ...init, signal: signal ?? null },
      ),
    )
    if (!this.#policy) return answered
    // A policy says in its own words that the caller has aborted.
    return answered.catch((error) => {
      throw asFetchError(error, given)
    })
  }

  /**
   * Another client with these options over this one's, its headers joined to this one's, and the same interceptors. Breakers,
   * limits, statistics and connections are its own.
   * @throws as the constructor
   */
  extend(options: ApiClientOptions = {}): ApiClient {
    checkOptions('ApiClient.extend', options, clientRules)
    const { baseURL, timeout, retries, enableLogging } = this
    const headers = emptyFields()
    setHeaders(headers, this.#given.headers)
    setHeaders(headers, options.headers)
    const current = { timeout, retries, enableLogging, ...(baseURL !== undefined && { baseURL }) }
    const extended = new ApiClient({ ...this.#given, ...current, ...options, headers })
    for (const interceptor of this.#onRequest.list) extended.addRequestInterceptor(interceptor)
    for (const interceptor of this.#onResponse.list) extended.addResponseInterceptor(interceptor)
    for (const interceptor of this.#onError.list) extended.addErrorInterceptor(interceptor)
    return extended
  }

  /** Runs before every call, in the order added. @returns a function that removes it */
  addRequestInterceptor(interceptor: RequestInterceptor): () => void {
    return this.#onRequest.add('addRequestInterceptor', interceptor)
  }

  /** Runs after every answered call. @returns a function that removes it */
  addResponseInterceptor(interceptor: ResponseInterceptor): () => void {
    return this.#onResponse.add('addResponseInterceptor', interceptor)
  }

  /** Runs after every failed call. @returns a function that removes it */
  addErrorInterceptor(interceptor: ErrorInterceptor): () => void {
    return this.#onError.add('addErrorInterceptor', interceptor)
  }

  removeRequestInterceptor(interceptor: RequestInterceptor): boolean {
    return this.#onRequest.remove(interceptor)
  }

  removeResponseInterceptor(interceptor: ResponseInterceptor): boolean {
    return this.#onResponse.remove(interceptor)
  }

  removeErrorInterceptor(interceptor: ErrorInterceptor): boolean {
    return this.#onError.remove(interceptor)
  }

  get baseURL(): string | undefined {
    return this.#core.baseURL
  }

  set baseURL(value: string) {
    checkOption('ApiClient', 'baseURL', value, clientRules.baseURL)
    this.#core.baseURL = value
  }

  get timeout(): number {
    return this.#settings.timeout
  }

  set timeout(value: number) {
    checkOption('ApiClient', 'timeout', value, clientRules.timeout)
    this.#settings.timeout = value
  }

  get retries(): number {
    return this.#settings.retries
  }

  set retries(value: number) {
    checkOption('ApiClient', 'retries', value, clientRules.retries)
    this.#settings.retries = value
  }

  get enableLogging(): boolean {
    return this.#settings.enableLogging
  }

  set enableLogging(value: boolean) {
    checkOption('ApiClient', 'enableLogging', value, clientRules.enableLogging)
    this.#settings.enableLogging = value
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
      totalRequests: counters.requests,
      successfulRequests: counters.succeeded,
      failedRequests: counters.failed,
      inFlight: live.size,
      attempts: counters.attempts,
      retries: counters.retries,
      hedges: counters.hedges,
      timeouts: counters.timeouts,
      aborted: counters.aborted,
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
      throw new TypeError(`ApiClient: origin must be a URL such as "https://example.com", got "${origin}"`)
    }
  }

  #run(
    method: string,
    url: string | URL,
    data: unknown,
    options: RequestOptions = noOptions,
  ): Promise<unknown> {
    if (!this.#policy) return this.#answer(method, url, data, options)
    return this.#guarded(options, (inherited) =>
      this.#answer(method, url, data, { ...options, ...inherited }),
    )
  }

  /** Runs something under the policy of the client, when it has one; time spent in the policy is time of the call. */
  #guarded<T>(
    options: CallOptions,
    operation: (inherited: Pick<CallOptions, 'signal' | 'callerSignal' | 'deadlineAt'>) => Promise<T>,
  ): Promise<T> {
    const { signal } = options
    if (!this.#policy) return operation({ signal })
    const context = { signal, attempt: 1, deadlineAt: this.#core.deadlineOf(options) }
    return this.#policy.execute(
      (inner) => operation({ signal: inner.signal, callerSignal: signal, deadlineAt: inner.deadlineAt }),
      context,
    )
  }

  #answer(method: string, url: string | URL, data: unknown, options: RequestOptions): Promise<unknown> {
    if (
      this.#sharing ||
      this.#onRequest.list.length > 0 ||
      this.#onResponse.list.length > 0 ||
      this.#onError.list.length > 0
    ) {
      return this.#runIntercepted(method, url, data, options)
    }
    // What is thrown in here rejects the promise.
    return new Promise((resolve, reject) => {
      const { schema } = options
      const onAnswer = schema
        ? (call: Call) => resolve(checked(call, schema, reject))
        : (call: Call) => resolve(call.answer.data)
      this.#start(method, url, data, options, onAnswer, reject)
    })
  }

  #start(
    method: string,
    url: string | URL,
    data: unknown,
    options: RequestOptions,
    resolve: (call: Call) => void,
    reject: (error: unknown) => void,
  ): void {
    const core = this.#core
    if (core.disposed) throw disposedError()
    if (options !== noOptions) checkRequestOptions(options)
    const prepared = core.requests.prepare(method, url, data, options)
    // A category that does not exist is a mistake of the caller, whether or not there is a token left.
    if (options.rateCategory !== undefined) core.limiter.getInfo(prepared.endpoint, options.rateCategory)
    new Call(core, prepared, options, resolve, reject).start()
  }

  async #runIntercepted(
    method: string,
    url: string | URL,
    data: unknown,
    options: RequestOptions,
  ): Promise<unknown> {
    try {
      const { call, config } = await this.#ask(method, url, data, options)
      const response = responseOf(call, config)
      const { schema } = config
      if (schema) response.data = await applySchema(schema, response.data, response.url)
      return await interceptResponse(this.#onResponse.list, response)
    } catch (error) {
      return interceptError(this.#onError.list, error)
    }
  }

  /** A call that the request interceptors have seen. */
  async #ask(
    method: string,
    url: string | URL,
    data: unknown,
    options: RequestOptions,
  ): Promise<{ call: Call; config: InterceptedConfig }> {
    if (this.#core.disposed) throw disposedError()
    checkRequestOptions(options)
    const headers: HeaderFields = emptyFields()
    setHeaders(headers, options.headers)
    const config = await interceptRequest(this.#onRequest.list, {
      ...options,
      url,
      method,
      data,
      headers: { ...headers },
    })
    const asked = config.method.toUpperCase()
    const start = (given: CallOptions) =>
      new Promise<Call>((resolve, reject) => {
        this.#start(asked, config.url, config.data, given, resolve, reject)
      })
    const sharing = this.#sharing
    const call = sharing ? await sharing.run(asked, config.url, config, start) : await start(config)
    return { call, config }
  }
}

/** The body as the schema has it; a mismatch goes to `reject`. */
function checked(call: Call, schema: StandardSchema, reject: (error: unknown) => void): unknown {
  try {
    return applySchema(schema, call.answer.data, call.answer.url)
  } catch (error) {
    reject(error)
    return undefined
  }
}

function responseOf(call: Call, config: InterceptedConfig): ClientResponse {
  const { status, headers, data, url } = call.answer
  return { status, headers, data, url, config, attempts: call.attempts, timings: call.timings }
}

function settingsOf(options: ApiClientOptions): ClientSettings {
  const settings: Record<string, unknown> = { ...clientDefaults }
  for (const name of Object.keys(clientDefaults)) {
    const given = (options as Record<string, unknown>)[name]
    if (given !== undefined) settings[name] = given
  }
  return settings as unknown as ClientSettings
}
