// "guru-comms/redis": what a fleet of processes shares, in Redis or Valkey 7.0 and newer. Re-exports only.

export {
  fromGlide,
  type GlideClientLike,
  type GlideListener,
  type GlideOptions,
} from './adapters/fromGlide.ts'
export { fromIoredis, type IoredisClient } from './adapters/fromIoredis.ts'
export { fromNodeRedis, type NodeRedisClient } from './adapters/fromNodeRedis.ts'
export { SharedCircuitBreaker, type SharedCircuitBreakerOptions } from './breaker/SharedCircuitBreaker.ts'
export { EngineError, type EngineReason, isEngineError } from './EngineError.ts'
export type { SharedLimiterStats, SharedLimitRequest, SharedLimitResult } from './limits/calls.ts'
export type { SharedLimiterState, SharedRateLimiterOptions } from './limits/options.ts'
export { SharedRateLimiter } from './limits/SharedRateLimiter.ts'
export type { RedisArgument, RedisEngine, RedisReply } from './RedisEngine.ts'
export {
  type RedisSessionStore,
  type RedisSessionStoreStats,
  redisSessionStore,
} from './RedisSessionStore.ts'
export type { RedisSessionStoreOptions } from './sessionStoreOptions.ts'
