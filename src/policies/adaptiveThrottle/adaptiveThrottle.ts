// Rejecting on the client what an overloaded backend would reject anyway, in proportion to what it rejects.
// Source: Google, "Site Reliability Engineering", chapter 21, "Client-Side Throttling": reject with probability
// max(0, (requests - K * accepts) / (requests + 1)) over the last two minutes.

import type { Clock } from '../../core/clock.ts'
import { CommsError, fenced, isA } from '../../core/errors.ts'
import { callable, checkOptions, clockRule, interval, withDefaults } from '../../core/options.ts'
import { type Random, systemRandom } from '../../core/random.ts'
import { systemClock } from '../../core/systemClock.ts'
import { type AttemptContext, firstAttempt, type Operation, type Policy } from '../Policy.ts'
import { SlidingWindow } from '../slidingWindow.ts'

export interface AdaptiveThrottleOptions {
  /** How many requests it sends per request that the backend accepts; lower is stricter. @default 2 */
  k?: number | undefined
  /** What it remembers, in milliseconds. @default 120000 */
  window?: number | undefined
  /** Whether an error means that the backend refused for overload. @default 429, 503, timeouts and network errors do */
  isOverload?: ((error: unknown) => boolean) | undefined
  clock?: Clock | undefined
  random?: Random | undefined
}

const defaults = { k: 2, window: 120_000 }
const rules = {
  k: 'a number from 1 to 1000',
  window: interval,
  isOverload: callable,
  clock: clockRule,
  random: callable,
}

function looksOverloaded(error: unknown): boolean {
  if (!isA(error, CommsError)) return true
  if (error.code === 'HTTP_STATUS')
    return [429, 503].includes((error as CommsError & { status: number }).status)
  return error.code === 'TIMEOUT' || error.code === 'NETWORK'
}

/** The decision alone: counts what was asked for and what was accepted. */
export class ThrottleWindow {
  readonly #k: number
  /** What was asked for, and what the backend accepted. */
  readonly #window: SlidingWindow

  constructor(k: number, windowMs: number) {
    this.#k = k
    this.#window = new SlidingWindow(windowMs, 2)
  }

  /** The share of requests to turn away at this moment. */
  rejectProbability(now: number): number {
    this.#window.advance(now)
    const [requests, accepts] = this.#window.sums as [number, number]
    return Math.max(0, (requests - this.#k * accepts) / (requests + 1))
  }

  /** Counts one request, sent or turned away. */
  record(accepted: boolean, now: number): void {
    this.#window.add(now, 0, 1)
    if (accepted) this.#window.add(now, 1, 1)
  }
}

/**
 * Turns calls away while the backend refuses for overload.
 * @throws CommsError with code `THROTTLED`, without calling the operation
 */
export function adaptiveThrottle(options: AdaptiveThrottleOptions = {}): Policy {
  checkOptions('adaptiveThrottle', options, rules)
  const { k, window } = withDefaults(defaults, options)
  const { clock = systemClock, random = systemRandom, isOverload = looksOverloaded } = options
  const throttle = new ThrottleWindow(k, window)
  return {
    async execute<T>(operation: Operation<T>, context: AttemptContext = firstAttempt): Promise<T> {
      const now = clock.now()
      const probability = throttle.rejectProbability(now)
      if (probability > 0 && random() < probability) {
        throttle.record(false, now)
        throw new CommsError(
          `throttled: the backend refuses for overload, ${Math.round(probability * 100)} % of calls are held back`,
          { code: 'THROTTLED' },
        )
      }
      try {
        const value = await operation(context)
        throttle.record(true, clock.now())
        return value
      } catch (error) {
        throttle.record(!fenced('isOverload', () => isOverload(error)), clock.now())
        throw error
      }
    },
  }
}
