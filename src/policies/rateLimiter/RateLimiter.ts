// Rate limiting by key: who may go now, and who how much later. Decides at once; waiting is TokenQueue's.

import type { Clock } from '../../core/clock.ts'
import { fenced, RateLimitError } from '../../core/errors.ts'
import {
  callable,
  checkOption,
  checkOptions,
  clockRule,
  flag,
  interval,
  optionError,
  plainObject,
  positive,
  positiveCount,
  type Rules,
} from '../../core/options.ts'
import { systemClock } from '../../core/systemClock.ts'
import { retryAfterMs, tryTake } from './bucketArithmetic.ts'
import { type Bucket, KeyedBuckets } from './keyedBuckets.ts'
import { checkedLimit, DEFAULT_LIMITS, isCheckedLimit, type Limit, type Limits } from './options.ts'
import type { BucketInfo } from './TokenBucket.ts'

export interface RateLimiterOptions {
  /** Whether it limits at all; see `enable` and `disable`. @default true */
  enabled?: boolean | undefined
  /** Limits by category; they join the known ones (`api` 20/s burst 30, `heavy` 5/10, `streaming` 100/150, `control` 10/15). */
  limits?: Record<string, Partial<Limit>> | undefined
  /** With `maxRequests`: a short way to set the limit of `api` to that many per so many milliseconds. */
  windowMs?: number | undefined
  /** With `windowMs`: how many requests it allows. */
  maxRequests?: number | undefined
  /** Another name of `windowMs`. */
  window?: number | undefined
  /** Another name of `maxRequests`. */
  maxCalls?: number | undefined
  /** Told of every refusal. */
  onRateLimited?: ((endpoint: string, info: BucketInfo) => void) | undefined
  /** Told of everything let through. */
  onRequestAllowed?: ((endpoint: string, info: BucketInfo) => void) | undefined
  /** Keys that get a bucket of their own; more share one per category. @default 10000 */
  maxEndpoints?: number | undefined
  clock?: Clock | undefined
}

export const rateLimiterRules: Rules<RateLimiterOptions> = {
  enabled: flag,
  limits: plainObject,
  windowMs: interval,
  maxRequests: positiveCount,
  window: interval,
  maxCalls: positiveCount,
  onRateLimited: callable,
  onRequestAllowed: callable,
  maxEndpoints: positiveCount,
  clock: clockRule,
}

/** What a request is: which limit it falls under, and how many tokens it takes. */
export interface RateLimitRequest {
  /** @default 'api' */
  category?: string | undefined
  /** @default 1 */
  cost?: number | undefined
}

/** What was decided. */
export interface RateLimitResult {
  allowed: boolean
  /** Milliseconds until the same request would be let through; 0 when it was. */
  retryAfter: number
  info: BucketInfo
}

/** Counts, all since the start or the last `resetStats`. */
export interface RateLimiterStats {
  totalRequests: number
  rateLimited: number
  byEndpoint: Record<string, EndpointStats>
}

export interface EndpointStats {
  totalRequests: number
  rateLimited: number
}

const noRequest: RateLimitRequest = Object.freeze({})

/** A token bucket per endpoint (any string) and category. */
export class RateLimiter {
  /** The limits in force, by category. */
  readonly limits: Limits = Object.create(null)
  readonly #keyed: KeyedBuckets
  readonly clock: Clock
  readonly #onRateLimited: RateLimiterOptions['onRateLimited']
  readonly #onRequestAllowed: RateLimiterOptions['onRequestAllowed']
  #enabled: boolean
  #totalRequests = 0
  #rateLimited = 0

  /** @throws TypeError or RangeError naming the option */
  constructor(options: RateLimiterOptions = {}) {
    checkOptions('RateLimiter', options, rateLimiterRules)
    const { enabled = true, maxEndpoints = 10_000, clock = systemClock } = options
    const { windowMs = options.window, maxRequests = options.maxCalls } = options
    let { limits } = options
    if (windowMs !== undefined && maxRequests !== undefined)
      limits = {
        api: { tokensPerSecond: (maxRequests / windowMs) * 1000, burstCapacity: maxRequests },
        ...limits,
      }
    else if (windowMs !== maxRequests)
      throw optionError('RateLimiter', 'windowMs', 'must be given together with "maxRequests"', windowMs)
    for (const [name, limit] of Object.entries({ ...DEFAULT_LIMITS, ...limits }))
      this.limits[name] = checkedLimit(
        'RateLimiter',
        `limits.${name}`,
        limit,
        (DEFAULT_LIMITS as Limits)[name],
      )
    this.#keyed = new KeyedBuckets(maxEndpoints)
    this.clock = clock
    this.#onRateLimited = options.onRateLimited
    this.#onRequestAllowed = options.onRequestAllowed
    this.#enabled = enabled
  }

  /** The buckets by endpoint; keys of other categories than `api` are `category`, a line feed and the endpoint. */
  get buckets(): Map<string, Bucket> {
    return this.#keyed.buckets
  }

  get enabled(): boolean {
    return this.#enabled
  }

  set enabled(value: boolean) {
    checkOption('RateLimiter', 'enabled', value, flag)
    this.#enabled = value
  }

  enable(): void {
    this.#enabled = true
  }

  /** Lets everything through, uncounted in the buckets. */
  disable(): void {
    this.#enabled = false
  }

  isEnabled(): boolean {
    return this.#enabled
  }

  /**
   * Takes the tokens or throws.
   * @throws RateLimitError "Rate limit exceeded ...", with `retryAfter` in milliseconds
   */
  check(endpoint: string, request: RateLimitRequest = noRequest): void {
    const bucket = this.take(endpoint, request.category, request.cost)
    if (bucket) throw this.refusal(endpoint, bucket, this.waitMs(bucket, request.cost))
  }

  /** Takes the tokens, or says how long to wait. */
  tryConsume(endpoint: string, { category, cost = 1 }: RateLimitRequest = noRequest): RateLimitResult {
    const refusedBy = this.take(endpoint, category, cost)
    return {
      allowed: !refusedBy,
      retryAfter: refusedBy ? this.waitMs(refusedBy, cost) : 0,
      info: this.getInfo(endpoint, category),
    }
  }

  /** Takes the tokens if they are there. */
  tryAcquire(endpoint: string, request: RateLimitRequest = noRequest): boolean {
    return !this.take(endpoint, request.category, request.cost)
  }

  /** Another name of `tryConsume`. */
  checkLimit(endpoint: string, request: RateLimitRequest = noRequest): RateLimitResult {
    return this.tryConsume(endpoint, request)
  }

  /**
   * The hot path of both: takes `cost` tokens and returns `undefined`, or returns the bucket that refused.
   * Nobody is served past callers that already wait for the same bucket.
   */
  take(endpoint: string, category = 'api', cost = 1, now: number = this.clock.now()): Bucket | undefined {
    if (cost !== 1) checkOption('RateLimiter', 'cost', cost, positive)
    const limit = this.#limit(category)
    this.#totalRequests += 1
    if (!this.#enabled) return undefined
    const bucket = this.#keyed.get(endpoint, category, limit, now)
    bucket.requests += 1
    if (bucket.waiting === 0 && tryTake(bucket, limit, cost, now)) {
      const allowed = this.#onRequestAllowed
      if (allowed) fenced('onRequestAllowed', () => allowed(endpoint, infoOf(bucket, now)))
      return undefined
    }
    bucket.limited += 1
    this.#rateLimited += 1
    const limited = this.#onRateLimited
    if (limited) fenced('onRateLimited', () => limited(endpoint, infoOf(bucket, now)))
    return bucket
  }

  /** The bucket of an endpoint; made when missing. For whoever learns what it may hold. */
  bucketOf(endpoint: string, category: string): Bucket {
    return this.#keyed.get(endpoint, category, this.#limit(category), this.clock.now())
  }

  /** Takes `cost` tokens of a bucket, if they are there: for whoever's turn it is. */
  takeFrom(bucket: Bucket, cost: number): boolean {
    return tryTake(bucket, bucket.limit, cost, this.clock.now())
  }

  /** Milliseconds until a bucket will hold `cost` tokens; `Infinity` when it never does. */
  waitMs(bucket: Bucket, cost = 1): number {
    return retryAfterMs(bucket, bucket.limit, cost, this.clock.now())
  }

  /** The error of a request that a bucket refused. */
  refusal(endpoint: string, { category, limit }: Bucket, retryAfter: number): RateLimitError {
    const remedy = retryAfter === Infinity ? 'it never holds so many' : `try again in ${retryAfter} ms`
    return new RateLimitError(
      `Rate limit exceeded for ${endpoint} (${category}: ${limit.tokensPerSecond}/s, burst ${limit.burstCapacity}): ${remedy}`,
      { retryAfter, endpoint, category },
    )
  }

  /** The state of a bucket; looking takes nothing and makes none. */
  getInfo(endpoint: string, category = 'api'): BucketInfo {
    const limit = this.#limit(category)
    const now = this.clock.now()
    return infoOf(
      this.#keyed.peek(endpoint, category) ?? { limit, tokens: limit.burstCapacity, refilledAt: now },
      now,
    )
  }

  getStats(): RateLimiterStats
  /** Of one endpoint, over its categories; `undefined` when it was never asked for or is forgotten. */
  getStats(endpoint: string): EndpointStats | undefined
  getStats(endpoint?: string): RateLimiterStats | EndpointStats | undefined {
    const byEndpoint: Record<string, EndpointStats> = Object.create(null)
    for (const [key, { requests, limited }] of this.buckets) {
      const name = key.slice(key.indexOf('\n') + 1)
      byEndpoint[name] ??= { totalRequests: 0, rateLimited: 0 }
      byEndpoint[name].totalRequests += requests
      byEndpoint[name].rateLimited += limited
    }
    if (endpoint !== undefined) return byEndpoint[endpoint]
    return { totalRequests: this.#totalRequests, rateLimited: this.#rateLimited, byEndpoint }
  }

  resetStats(): void {
    this.#totalRequests = this.#rateLimited = 0
    for (const bucket of this.buckets.values()) bucket.requests = bucket.limited = 0
  }

  /** Forgets every bucket: all are full again. Statistics of single endpoints go with them. */
  clear(): void {
    this.#keyed.clear()
  }

  #limit(category: string): Limit {
    const { limits } = this
    const limit = limits[category]
    if (!limit)
      throw optionError(
        'RateLimiter',
        'category',
        `must be one of ${Object.keys(limits).join(', ')}`,
        category,
      )
    if (isCheckedLimit(limit)) return limit
    // Assigned as a plain object since: checked now, and from then on whenever it is changed.
    const checked = checkedLimit('RateLimiter', `limits.${category}`, limit)
    limits[category] = checked
    return checked
  }
}

/** What a bucket tells of itself. */
function infoOf(bucket: Pick<Bucket, 'tokens' | 'refilledAt' | 'limit'>, now: number): BucketInfo {
  const { limit } = bucket
  const retryAfter = retryAfterMs(bucket, limit, 1, now)
  const { burstCapacity: capacity, tokensPerSecond: rate } = limit
  return { tokens: Math.max(0, bucket.tokens), capacity, rate, retryAfter }
}
