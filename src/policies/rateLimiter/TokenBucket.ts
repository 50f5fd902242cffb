// One token bucket on a clock of its own.

import type { Clock } from '../../core/clock.ts'
import { checkOption } from '../../core/options.ts'
import { systemClock } from '../../core/systemClock.ts'
import { type BucketState, refill, retryAfterMs, tryTake } from './bucketArithmetic.ts'
import { checkedLimit, type Limit } from './options.ts'

const costRule = 'a number >= 0'

/** What a bucket tells of itself. */
export interface BucketInfo {
  /** Tokens there at this moment. */
  tokens: number
  /** The most it holds. */
  capacity: number
  /** Tokens per second. */
  rate: number
  /** Milliseconds until one token will be there; 0 when it is. */
  retryAfter: number
}

/** Full at the start; `tokensPerSecond` and `burstCapacity` can be assigned and take effect at once. */
export class TokenBucket {
  readonly #limit: Limit
  readonly #state: BucketState
  readonly #clock: Clock

  /** @throws TypeError or RangeError naming the number that is wrong */
  constructor(options: Limit & { clock?: Clock | undefined })
  constructor(tokensPerSecond: number, burstCapacity: number, clock?: Clock)
  constructor(
    given: number | (Limit & { clock?: Clock | undefined }),
    burst?: number,
    givenClock: Clock = systemClock,
  ) {
    const {
      tokensPerSecond,
      burstCapacity,
      clock = givenClock,
    } = typeof given === 'object' && given !== null
      ? given
      : { tokensPerSecond: given, burstCapacity: burst as number }
    this.#limit = checkedLimit('TokenBucket', 'limit', { tokensPerSecond, burstCapacity })
    this.#clock = clock
    this.#state = { tokens: burstCapacity, refilledAt: clock.now() }
  }

  get tokensPerSecond(): number {
    return this.#limit.tokensPerSecond
  }

  set tokensPerSecond(value: number) {
    // What has come back so far came at the old rate.
    refill(this.#state, this.#limit, this.#clock.now())
    this.#limit.tokensPerSecond = value
  }

  get burstCapacity(): number {
    return this.#limit.burstCapacity
  }

  set burstCapacity(value: number) {
    this.#limit.burstCapacity = value
  }

  /** Tokens there at this moment. */
  get tokens(): number {
    return this.getTokens()
  }

  /** Takes `count` tokens if they are there; all or nothing. */
  tryConsume(count = 1): boolean {
    checkOption('TokenBucket', 'count', count, costRule)
    return tryTake(this.#state, this.#limit, count, this.#clock.now())
  }

  getTokens(): number {
    refill(this.#state, this.#limit, this.#clock.now())
    return this.#state.tokens
  }

  /** Milliseconds until `count` tokens will be there: 0 when they are, `Infinity` when it never holds so many. */
  getRetryAfter(count = 1): number {
    return retryAfterMs(this.#state, this.#limit, count, this.#clock.now())
  }

  getInfo(): BucketInfo {
    return {
      tokens: this.getTokens(),
      capacity: this.#limit.burstCapacity,
      rate: this.#limit.tokensPerSecond,
      retryAfter: this.getRetryAfter(),
    }
  }
}
