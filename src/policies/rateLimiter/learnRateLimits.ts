// Keeping to the limits that servers tell of: what an answer says is carried over to the bucket that its request came from.

import { checkOptions, interval } from '../../core/options.ts'
import { refill } from './bucketArithmetic.ts'
import type { RateLimiter } from './RateLimiter.ts'
import { type ServerAnswer, type ServerLimit, serverLimit } from './serverLimit.ts'

export interface LearnRateLimitsOptions {
  /** The longest a server's word holds calls back, in milliseconds; then one is let through to ask again. @default 3600000 */
  maxHold?: number | undefined
}

/** What is told after an answer has been looked at. */
export interface LearnedLimit extends ServerLimit {
  /** Milliseconds that calls of this endpoint are held back from now on; 0 when they are not. */
  readonly holdMs: number
}

/** Looks at answers; given to a client as `learnRateLimits`. */
export interface RateLimitLearner {
  /**
   * Takes over what an answer says.
   * @param now on the clock of the limiter, milliseconds
   * @returns what was learned, `undefined` when it said nothing
   */
  observe(
    limiter: RateLimiter,
    endpoint: string,
    category: string,
    answer: ServerAnswer,
    now: number,
  ): LearnedLimit | undefined
}

/** Clocks and timers round, and coming back early costs another refusal. */
const MARGIN_MS = 50

/**
 * Learns from `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers), `X-RateLimit-*`, and `Retry-After`
 * of a 429 or 503; what is malformed is ignored. A bucket never holds more than the server has left, and once that is nothing,
 * calls of the endpoint are held back until the reset, as over any limit: refused, or in line.
 * @throws TypeError or RangeError naming the option
 */
export function learnRateLimits(options: LearnRateLimitsOptions = {}): RateLimitLearner {
  checkOptions('learnRateLimits', options, { maxHold: interval })
  const { maxHold = 3_600_000 } = options
  return {
    observe(limiter, endpoint, category, answer, now) {
      if (!limiter.enabled) return undefined
      const learned = serverLimit(answer)
      if (!learned) return undefined
      const holdMs = learned.remaining > 0 ? 0 : Math.min(maxHold, resetOrNothing(learned))
      const bucket = limiter.bucketOf(endpoint, category)
      const { limit } = bucket
      refill(bucket, limit, now)
      // A debt that the bucket's own rate has worked off when the reset comes: then there is one token again.
      const tokens = holdMs > 0 ? 1 - (limit.tokensPerSecond * holdMs) / 1000 : learned.remaining
      if (holdMs > 0 || learned.remaining > 0) bucket.tokens = Math.min(bucket.tokens, tokens)
      return { ...learned, holdMs }
    },
  }
}

/** Used up without a word of when it ends: nothing can be held to that. */
function resetOrNothing({ resetMs }: ServerLimit): number {
  return resetMs === undefined ? 0 : resetMs + MARGIN_MS
}
