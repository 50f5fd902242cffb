// "guru-comms/policies": every policy on its own, and the decisions beneath them.

export type { Clock, TimerHandle } from '../core/clock.ts'
export {
  AbortError,
  BulkheadError,
  CircuitBreakerError,
  CommsError,
  RateLimitError,
  TimeoutError,
} from '../core/errors.ts'
export type { Outcome } from '../core/outcome.ts'
export type { Random } from '../core/random.ts'
export {
  type AdaptiveThrottleOptions,
  adaptiveThrottle,
  ThrottleWindow,
} from './adaptiveThrottle/adaptiveThrottle.ts'
export { type Backoff, backoffDelay, decorrelatedDelay, type JitterRange, jitterRanges } from './backoff.ts'
export { type BearerAuth, type BearerAuthOptions, bearerAuth } from './bearerAuth/bearerAuth.ts'
export { Bulkhead, type BulkheadOptions, bulkhead } from './bulkhead/bulkhead.ts'
export { type Chaos, type ChaosOptions, chaos } from './chaos/chaos.ts'
export {
  BreakerMachine,
  type BreakerReason,
  type BreakerSnapshot,
  type BreakerStateName,
  type Permit,
  REFUSED,
} from './circuitBreaker/breakerMachine.ts'
export {
  CircuitBreaker,
  type CircuitBreakerPolicyOptions,
  type CircuitBreakerState,
  circuitBreaker,
} from './circuitBreaker/CircuitBreaker.ts'
export type { CircuitBreakerOptions } from './circuitBreaker/options.ts'
export { Coalescer } from './coalesce/coalesce.ts'
export { compose } from './compose.ts'
export { type FallbackOptions, fallback } from './fallback/fallback.ts'
export { type HedgeOptions, hedge } from './hedge/hedge.ts'
export { LatencyWindow } from './hedge/latencyWindow.ts'
export type { AttemptContext, Operation, Policy } from './Policy.ts'
export {
  type LearnedLimit,
  type LearnRateLimitsOptions,
  learnRateLimits,
  type RateLimitLearner,
} from './rateLimiter/learnRateLimits.ts'
export { DEFAULT_LIMITS, type Limit, type Limits } from './rateLimiter/options.ts'
export { RateLimiter, type RateLimiterOptions, type RateLimiterStats } from './rateLimiter/RateLimiter.ts'
export { type RateLimitPolicyOptions, rateLimit } from './rateLimiter/rateLimit.ts'
export { type ServerAnswer, type ServerLimit, serverLimit } from './rateLimiter/serverLimit.ts'
export { type BucketInfo, TokenBucket } from './rateLimiter/TokenBucket.ts'
export { TokenQueue, type TokenRequest } from './rateLimiter/TokenQueue.ts'
export type { Jitter, RetryOptions } from './retry/options.ts'
export { type RetryPolicyOptions, retry } from './retry/retry.ts'
export { RetryBudget, type RetryBudgetOptions } from './retry/retryBudget.ts'
export { type RetryDecision, type RetryQuestion, retryDecision } from './retry/retryDecision.ts'
export { Deadlines } from './timeout/Deadlines.ts'
export { type TimeoutPolicyOptions, timeout } from './timeout/timeout.ts'
