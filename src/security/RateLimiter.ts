// The rate limiter as a subpath of its own.

export { RateLimitError } from '../core/errors.ts'
export type { Bucket } from '../policies/rateLimiter/keyedBuckets.ts'
export { DEFAULT_LIMITS, type Limit, type Limits } from '../policies/rateLimiter/options.ts'
export {
  type EndpointStats,
  RateLimiter,
  type RateLimiterOptions,
  type RateLimiterStats,
  type RateLimitRequest,
  type RateLimitResult,
} from '../policies/rateLimiter/RateLimiter.ts'
export { type BucketInfo, TokenBucket } from '../policies/rateLimiter/TokenBucket.ts'
