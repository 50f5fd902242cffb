// Rate limiting any operation: the shell around RateLimiter and TokenQueue.

import type { Clock } from '../../core/clock.ts'
import { checkOptions, clockRule, text } from '../../core/options.ts'
import { systemClock } from '../../core/systemClock.ts'
import { type Layer, runWithin, within } from '../layer.ts'
import { firstAttempt, type Policy } from '../Policy.ts'
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
  clock?: Clock | undefined
}

const rules = {
  endpoint: text,
  category: text,
  cost: 'a number above 0',
  mode: '"reject" or "wait"',
  clock: clockRule,
}

/**
 * Lets through what a token bucket allows.
 * @throws RateLimitError over the limit, or when a wait would pass the deadline; AbortError when aborted while waiting
 */
export function rateLimit(options: RateLimitPolicyOptions = {}): Policy {
  const { limiter: given = {}, ...rest } = options
  checkOptions('rateLimit', rest, rules)
  const { endpoint = 'default', category = 'api', cost = 1, mode = 'reject', clock = systemClock } = rest
  const limiter =
    given instanceof RateLimiter ? given : new RateLimiter({ ...given, clock: given.clock ?? clock })
  const queue = mode === 'wait' ? new TokenQueue(limiter, clock) : undefined
  const layer: Layer = {
    execute: (operation, context = firstAttempt) => runWithin(layer, operation, context),
    [within](inner, run, context, ending) {
      if (!queue) {
        try {
          const refusedBy = limiter.take(endpoint, category, cost, run.now(limiter.clock))
          if (refusedBy) throw limiter.refusal(endpoint, refusedBy, limiter.waitMs(refusedBy, cost))
        } catch (error) {
          ending.reject(error)
          return
        }
        inner.enter(run, context, ending)
        return
      }
      const { signal, deadlineAt } = context
      const turn = queue.acquire(endpoint, { category, cost, signal, deadlineAt })
      if (!turn) {
        inner.enter(run, context, ending)
        return
      }
      turn.then(
        () => {
          run.later()
          inner.enter(run, context, ending)
        },
        (error) => ending.reject(error),
      )
    },
  }
  return layer
}
