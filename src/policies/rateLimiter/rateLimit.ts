// Rate limiting any operation.

import type { Clock } from '../../core/clock.ts'
import { checkOptions, clockRule, flag, plainObject, text } from '../../core/options.ts'
import { systemClock } from '../../core/systemClock.ts'
import type { Policy } from '../Policy.ts'
import { LimiterLayer } from './LimiterLayer.ts'
import { RateLimiter, type RateLimiterOptions } from './RateLimiter.ts'
import { TokenQueue } from './TokenQueue.ts'

export interface RateLimitPolicyOptions {
  /** A limiter to share, or the options of a new one. */
  limiter?: RateLimiter | RateLimiterOptions | undefined
  /** What is limited. @default 'default' */
  endpoint?: string | undefined
  /** @default 'api' */
  category?: string | undefined
  /** Tokens per call. @default 1 */
  cost?: number | undefined
  /** What happens over the limit: an error at once, or a wait for the tokens. @default 'reject' */
  mode?: 'reject' | 'wait' | undefined
  /** Within `retry`, a second attempt waits for its tokens although a first one would be refused. @default false */
  retriesWait?: boolean | undefined
  clock?: Clock | undefined
}

const rules = {
  limiter: plainObject,
  endpoint: text,
  category: text,
  cost: 'a number above 0',
  mode: '"reject" or "wait"',
  retriesWait: flag,
  clock: clockRule,
}

/**
 * Lets through what a token bucket allows.
 * @throws RateLimitError over the limit, or when a wait would pass the deadline; AbortError when aborted while waiting
 */
export function rateLimit(options: RateLimitPolicyOptions = {}): Policy {
  checkOptions('rateLimit', options, rules)
  const { limiter: given = {}, mode = 'reject', retriesWait = false, clock = systemClock } = options
  const { endpoint = 'default', category = 'api', cost = 1 } = options
  const limiter =
    given instanceof RateLimiter ? given : new RateLimiter({ ...given, clock: given.clock ?? clock })
  const queue = new TokenQueue(limiter, clock)
  const demand = { endpoint, category, cost }
  return new LimiterLayer({
    clock,
    unref: false,
    limiter,
    queues: mode === 'wait',
    retriesWait,
    demandOf: () => demand,
    join: (key, bucket, request) => queue.join(key, bucket, request),
  })
}
