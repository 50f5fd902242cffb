// The options of a client and of one request: meaning, defaults, checks.

import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import {
  callable,
  checkOptions,
  clockRule,
  count,
  delay,
  duration,
  either,
  flag,
  limit,
  loggerRule,
  optionError,
  plainObject,
  type Resolved,
  type Rule,
  type Rules,
  text,
} from '../core/options.ts'
import { type Random, systemRandom } from '../core/random.ts'
import type { StandardSchema } from '../core/standardSchema.ts'
import { systemClock } from '../core/systemClock.ts'
import type { HeadersInput } from '../http/headers.ts'
import { isIdempotent } from '../http/idempotency.ts'
import type { ResponseType } from '../http/parseBody.ts'
import type { QueryParams } from '../http/query.ts'
import type { BearerAuth } from '../policies/bearerAuth/bearerAuth.ts'
import type { CircuitBreakerOptions } from '../policies/circuitBreaker/options.ts'
import type { Policy } from '../policies/Policy.ts'
import type { RateLimitLearner } from '../policies/rateLimiter/learnRateLimits.ts'
import type { RateLimiterOptions } from '../policies/rateLimiter/RateLimiter.ts'
import { type Jitter, jitterRule } from '../policies/retry/options.ts'
import type { RetryBudget, RetryBudgetOptions } from '../policies/retry/retryBudget.ts'
import type { HttpTransport } from '../transport/HttpTransport.ts'
import type { FieldValidator, ValidateOptions } from './guardCalls.ts'

/** A bearer token, or what gives it. */
export type TokenSource = string | (() => string | undefined | PromiseLike<string | undefined>)

/** How a client is configured. Everything has a default. */
export interface ApiClientOptions {
  /** What relative URLs are appended to. Requests then go to its origin only. @default none: every URL is absolute */
  baseURL?: string | undefined
  /** Milliseconds one attempt may take, through the last byte of the body; `Infinity` for no limit. @default 12000 */
  timeout?: number | undefined
  /** Milliseconds a whole call may take, waits and retries included. @default Infinity */
  deadline?: number | undefined
  /** Milliseconds connecting may take (Node). @default 10000 */
  connectTimeout?: number | undefined
  /** Milliseconds a stream may be silent while it is being read: nothing comes, no comment either. @default 120000 */
  idleTimeout?: number | undefined
  /** How many times a failed attempt is repeated. @default 2 */
  retries?: number | undefined
  /** Milliseconds before the first retry; doubles from one to the next. @default 500 */
  retryDelay?: number | undefined
  /** The longest wait between attempts, in milliseconds. @default 30000 */
  maxRetryDelay?: number | undefined
  /** How delays are spread. @default [1, 1.5]: up to half is added */
  jitter?: Jitter | undefined
  /** A server that asks to wait longer than this is not retried, in milliseconds. @default 60000 */
  maxRetryAfter?: number | undefined
  /** Statuses worth a retry. @default [408, 429, 500, 502, 503, 504] */
  retryStatusCodes?: readonly number[] | undefined
  /** Repeats POST and PATCH like the others: only for servers where doing it twice does no harm. @default false */
  retryUnsafe?: boolean | undefined
  /** Has the last word on an error that would be retried. */
  shouldRetry?: ((error: unknown, attempt: number) => boolean | PromiseLike<boolean>) | undefined
  /**
   * How many retries and hedges all calls together may afford; a `RetryBudget` is shared with whoever else has it.
   * @default { ratio: 0.2, reservePerSecond: 10 }: a fifth of the calls and ten a second
   */
  retryBudget?: RetryBudget | RetryBudgetOptions | undefined
  /** Whether the circuit breaker is in force. @default true */
  circuitBreaker?: boolean | undefined
  /** @default { threshold: 5, timeout: 60000, volumeThreshold: 10 } and more */
  circuitBreakerOptions?: CircuitBreakerOptions | undefined
  /** Whether the rate limiter is in force. @default true */
  rateLimiter?: boolean | undefined
  /** @default { limits: { api: { tokensPerSecond: 20, burstCapacity: 30 } } } and more */
  rateLimiterOptions?: ClientRateLimiterOptions | undefined
  /** Over the limit, a call is refused or waits for its turn. @default 'reject' */
  rateLimitMode?: 'reject' | 'wait' | undefined
  /** `learnRateLimits()` of `guru-comms/policies`: the limiter keeps to what the server says of its own limits. */
  learnRateLimits?: RateLimitLearner | undefined
  /**
   * Around every call, outside of everything else: a bulkhead, a fallback, an adaptive throttle, chaos, or several of them
   * through `compose` (see `guru-comms/policies`).
   */
  policy?: Policy | undefined
  /** `hedge(...)` of `guru-comms/policies`: a slow call is made a second time, where that may be (never POST or PATCH). */
  hedge?: Policy | undefined
  /**
   * `{ validator, rules, fields }`: an `InputValidator` looks at the texts of every request's data and query first. A call that
   * it refuses rejects with its ValidationError; nothing is sent.
   */
  validate?: ValidateOptions | undefined
  /** Identical GETs at the same time become one request; they then share the parsed body. @default false */
  coalesce?: boolean | undefined
  /** Sent with every request. */
  headers?: HeadersInput | undefined
  /**
   * Sent as `Authorization: Bearer` with every attempt of a request that brings none of its own; a function is asked each time.
   * Where it may change while it is in use: `auth`.
   */
  token?: TokenSource | undefined
  /** `bearerAuth(...)` of `guru-comms/policies`: a token that is renewed when it is refused. */
  auth?: BearerAuth | undefined
  /** Headers that never go to another origin in a redirect, beside Authorization, Cookie and Proxy-Authorization. */
  sensitiveHeaders?: readonly string[] | undefined
  /** Origins that may be reached beside the one of `baseURL`. */
  allowedOrigins?: readonly string[] | undefined
  /** Whether `http:` is allowed to other hosts than this machine. @default true */
  allowInsecure?: boolean | undefined
  /**
   * The most bytes of a response body, after decompression; of one event, in `stream()`. Bodies that are handed over as streams
   * (`responseType: 'stream'`, `fetch`) have no limit unless one is given. @default 64 MiB
   */
  maxResponseBytes?: number | undefined
  /** The most bytes of response headers. @default 64 KiB */
  maxHeaderBytes?: number | undefined
  /** Redirects that are followed; with 0 the answer is handed over as it is. @default 10 */
  maxRedirects?: number | undefined
  /** Logs every decision, without secrets. @default false */
  enableLogging?: boolean | undefined
  /** Where logs go. @default console */
  logger?: Logger | undefined
  /** Whether timers of the client let the process end. @default false */
  unref?: boolean | undefined
  clock?: Clock | undefined
  random?: Random | undefined
  /** An undici Dispatcher to send with: a proxy, TLS options, HTTP/2 (Node). It stays yours; `dispose` leaves it open. */
  dispatcher?: unknown
  /** A `fetch` to send with (where the fetch transport is used). */
  fetch?: typeof globalThis.fetch | undefined
  /** Whether cookies are sent (browsers). */
  credentials?: 'omit' | 'same-origin' | 'include' | undefined
  /** Carries the requests instead of this platform's transport. */
  transport?: HttpTransport | undefined
}

/** A request as `scope` of the limiter is told of it. */
export interface LimitedRequest {
  readonly method: string
  /** Whole, with its query: for the client's own code. */
  readonly url: string
  readonly origin: string
  /** Without the query. */
  readonly pathname: string
  readonly category: string
}

/** How the limiter of a client is configured. */
export interface ClientRateLimiterOptions extends RateLimiterOptions {
  /**
   * What shares a bucket, within a category: calls of the same method and path, all calls to an origin (as providers mean their
   * limits), or those for which a function gives the same text (an API key, a tenant). @default 'endpoint'
   */
  scope?: 'endpoint' | 'origin' | ((request: LimitedRequest) => string) | undefined
}

/** What one call may change. */
export interface RequestOptions<T = unknown> {
  /** Joined to the headers of the client; `undefined` or `null` removes one. */
  headers?: HeadersInput | undefined
  /** The query. */
  params?: QueryParams | undefined
  timeout?: number | undefined
  deadline?: number | undefined
  idleTimeout?: number | undefined
  retries?: number | undefined
  retryUnsafe?: boolean | undefined
  /** Aborts the call, wherever it is: waiting, sending, reading a stream. */
  signal?: AbortSignal | undefined
  /** With `false` it goes without the client's `token` or `auth`: what renews a token must. @default true */
  auth?: boolean | undefined
  /** Which limit it falls under. @default 'api' */
  rateCategory?: string | undefined
  /** How many tokens it takes. @default 1 */
  rateCost?: number | undefined
  /** Who goes first when calls wait for tokens; higher before lower. @default 0 */
  priority?: number | undefined
  /** Makes POST and PATCH safe to repeat: sent as `Idempotency-Key`, the same for every attempt; `true` makes one up. */
  idempotencyKey?: string | true | undefined
  /** How the body is handed over. @default by content type */
  responseType?: ResponseType | undefined
  /** A schema of zod, valibot, arktype or any other library of standardschema.dev: checks the body and gives it its type. */
  schema?: StandardSchema<T> | undefined
  maxResponseBytes?: number | undefined
  /** Told how many bytes of the body have been handed to the network, and how many there are, where that is known (Node). */
  onUploadProgress?: ((sentBytes: number, totalBytes: number | undefined) => void) | undefined
  onDownloadProgress?: ((receivedBytes: number, totalBytes: number | undefined) => void) | undefined
}

/** What the client's own methods may ask of a call beyond that. */
export interface CallOptions extends RequestOptions {
  /** Hand the answer over as it is, whatever its status, its body as a stream or, where it is all there, as bytes. */
  readonly raw?: boolean
  /** What the reader of a stream is told in place of our errors. */
  readonly bodyError?: ((error: unknown) => unknown) | undefined
  /** See `HttpRequest`. */
  readonly platformInit?: RequestInit | undefined
  /** In place of the client's. */
  readonly maxRedirects?: number
  /** The caller's own signal, where `signal` is that of a policy in between: a stream outlives what a policy watches. */
  readonly callerSignal?: AbortSignal | undefined
  /** It is one of several calls for the same answer: the first, or one beyond it. */
  readonly hedge?: 'first' | 'extra'
  /** When it must be over, on the client's clock, whatever `deadline` says: it has begun before this call. */
  readonly deadlineAt?: number
}

/** A whole request, as interceptors see it and `request()` takes it. */
export interface RequestConfig<T = unknown> extends RequestOptions<T> {
  url: string | URL
  /** @default 'GET' */
  method?: string | undefined
  /** The body: see `prepareBody`. */
  data?: unknown
}

/** How a stream is asked for and read. */
export interface StreamOptions extends Omit<RequestOptions, 'responseType' | 'schema'> {
  /** @default 'GET' */
  method?: string | undefined
  /** The body. */
  data?: unknown
  /** Server-sent events, or one JSON value a line. @default 'sse' */
  format?: 'sse' | 'ndjson' | undefined
  /** Milliseconds between two events, while one is waited for; comments that keep the line alive are none. @default Infinity */
  eventTimeout?: number | undefined
  /**
   * Asks again where the stream broke off, with `Last-Event-ID`, as browsers' EventSource does. What may pass (nobody there, a status
   * worth a retry, an open breaker) is waited out; it ends when more than `retries` openings in a row have failed, at the `deadline`, or
   * with the signal. Only for what may run twice: GET, or with an `idempotencyKey`. @default false
   */
  reconnect?: boolean | undefined
}

export const clientDefaults = {
  timeout: 12_000,
  deadline: Infinity,
  connectTimeout: 10_000,
  idleTimeout: 120_000,
  retries: 2,
  retryDelay: 500,
  maxRetryDelay: 30_000,
  jitter: [1, 1.5] as Jitter,
  maxRetryAfter: 60_000,
  retryStatusCodes: [408, 429, 500, 502, 503, 504],
  retryUnsafe: false,
  circuitBreaker: true,
  rateLimiter: true,
  rateLimitMode: 'reject',
  allowInsecure: true,
  maxResponseBytes: 64 * 2 ** 20,
  maxHeaderBytes: 64 * 2 ** 10,
  maxRedirects: 10,
  enableLogging: false,
  unref: false,
  logger: console,
  clock: systemClock,
  random: systemRandom,
} satisfies ApiClientOptions

/** Values in force, gaps filled where there is a default. Changing one takes effect at the next call. */
export type ClientSettings = ApiClientOptions & Resolved<Pick<ApiClientOptions, keyof typeof clientDefaults>>

const bytes = 'a number of bytes >= 1'
const policyRule = 'an object with execute'
const texts = 'an array, each item a string'
const headersRule = {
  expected: 'an object of headers',
  accepts: (value: unknown) => typeof value === 'object' && value !== null,
}

export const validateRule: Rule = {
  expected: 'an object with a validator that has validateFields',
  accepts: (value) =>
    typeof (value as { validator?: Partial<FieldValidator> } | null)?.validator?.validateFields ===
    'function',
}

export const clientRules: Rules<ApiClientOptions> = {
  baseURL: text,
  timeout: limit,
  deadline: limit,
  connectTimeout: limit,
  idleTimeout: limit,
  retries: count,
  retryDelay: delay,
  maxRetryDelay: delay,
  jitter: jitterRule,
  maxRetryAfter: duration,
  retryStatusCodes: 'an array, each item a whole number from 100 to 599',
  retryUnsafe: flag,
  shouldRetry: callable,
  retryBudget: plainObject,
  circuitBreaker: flag,
  circuitBreakerOptions: plainObject,
  rateLimiter: flag,
  rateLimiterOptions: plainObject,
  rateLimitMode: '"reject" or "wait"',
  learnRateLimits: 'an object with observe',
  policy: policyRule,
  hedge: policyRule,
  validate: validateRule,
  coalesce: flag,
  headers: headersRule,
  token: either(text, callable),
  auth: 'an object with token, execute',
  sensitiveHeaders: texts,
  allowedOrigins: texts,
  allowInsecure: flag,
  maxResponseBytes: bytes,
  maxHeaderBytes: bytes,
  maxRedirects: count,
  enableLogging: flag,
  logger: loggerRule,
  unref: flag,
  clock: clockRule,
  random: callable,
  dispatcher: 'an object with dispatch',
  fetch: callable,
  credentials: '"omit" or "same-origin" or "include"',
  transport: 'an object with send, dispose, decodeText',
}

export const requestRules: Rules<RequestOptions> = {
  headers: headersRule,
  params: plainObject,
  timeout: limit,
  deadline: limit,
  idleTimeout: limit,
  retries: count,
  retryUnsafe: flag,
  signal: {
    expected: 'an AbortSignal',
    accepts: (value) => typeof (value as AbortSignal | null)?.addEventListener === 'function',
  },
  auth: flag,
  rateCategory: text,
  rateCost: 'a number above 0',
  priority: 'a number',
  idempotencyKey: 'a string or true',
  responseType: '"json" or "text" or "arrayBuffer" or "blob" or "stream"',
  schema: {
    expected: 'a Standard Schema',
    accepts: (value) => typeof (value as StandardSchema | null)?.['~standard']?.validate === 'function',
  },
  maxResponseBytes: bytes,
  onUploadProgress: callable,
  onDownloadProgress: callable,
}

const anything = { expected: 'anything', accepts: () => true }

/** What `request()` takes. */
export const configRules: Rules<RequestConfig> = {
  ...requestRules,
  url: anything,
  method: anything,
  data: anything,
}

const { responseType: _, schema: __, ...callRules } = requestRules
const streamRules = {
  ...callRules,
  data: anything,
  method: text,
  format: '"sse" or "ndjson"',
  eventTimeout: limit,
  reconnect: flag,
}

/** @throws TypeError or RangeError naming the option */
export function checkStreamOptions(options: StreamOptions): void {
  const owner = 'ApiClient.stream'
  checkOptions(owner, options, streamRules)
  const { method = 'GET', reconnect, idempotencyKey } = options
  if (reconnect && !isIdempotent(method.toUpperCase()) && idempotencyKey === undefined)
    throw optionError(
      owner,
      'reconnect',
      `must be false for ${method} without an "idempotencyKey": it could run twice`,
      true,
    )
}
