// Waiting for tokens: in order, abortable, never beyond a deadline that is known to be missed.

import { onAbort } from '../../core/abort.ts'
import type { Clock, TimerHandle } from '../../core/clock.ts'
import { AbortError } from '../../core/errors.ts'
import type { Bucket } from './keyedBuckets.ts'
import type { RateLimiter } from './RateLimiter.ts'

export interface TokenRequest {
  /** @default 'api' */
  category?: string | undefined
  /** @default 1 */
  cost?: number | undefined
  /** Higher goes first; equals go in order of arrival. @default 0 */
  priority?: number | undefined
  signal?: AbortSignal | undefined
  /** When the caller must be done, on the clock of the queue. @default Infinity */
  deadlineAt?: number | undefined
}

interface Waiter {
  readonly endpoint: string
  readonly cost: number
  readonly priority: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
  release: (() => void) | undefined
  /** Ends the wait at the caller's deadline, wherever in the line it then stands. */
  expiry: TimerHandle | undefined
}

/** Those who wait for one bucket, first out first, with the timer of the first. */
interface Line {
  readonly waiters: Waiter[]
  /** What all of them want together. */
  cost: number
  timer: TimerHandle | undefined
}

/** How many may wait for one bucket before newcomers are refused: bounds what a stalled caller can pile up. */
const MAX_WAITERS = 10_000

/** Callers that wait for the buckets of one limiter. */
export class TokenQueue {
  readonly #limiter: RateLimiter
  readonly #clock: Clock
  readonly #unref: boolean
  readonly #lines = new Map<Bucket, Line>()

  constructor(limiter: RateLimiter, clock: Clock, unref = false) {
    this.#limiter = limiter
    this.#clock = clock
    this.#unref = unref
  }

  /** How many wait, over all buckets. */
  get waiting(): number {
    let waiting = 0
    for (const line of this.#lines.values()) waiting += line.waiters.length
    return waiting
  }

  /**
   * Resolves once the tokens are taken.
   * @returns `undefined` when they were there at once, so that nobody need wait a microtask
   * @throws RateLimitError at once when the deadline would pass before it is this caller's turn, or too many wait;
   *   AbortError when the signal aborts first. Neither takes a token.
   */
  acquire(endpoint: string, request: TokenRequest): Promise<void> | undefined {
    const { category, cost, signal } = request
    if (signal?.aborted) return Promise.reject(aborted(signal))
    const refusedBy = this.#limiter.take(endpoint, category, cost)
    return refusedBy && this.join(endpoint, refusedBy, request)
  }

  /**
   * Gets in line for the tokens of a bucket that has just refused.
   * @throws as `acquire`
   */
  join(endpoint: string, bucket: Bucket, request: TokenRequest): Promise<void> {
    const { cost = 1, priority = 0, signal, deadlineAt = Number.POSITIVE_INFINITY } = request
    const now = this.#clock.now()
    const line = this.#lines.get(bucket) ?? { waiters: [], cost: 0, timer: undefined }
    // Stable: behind everyone of the same or a higher priority.
    const { waiters } = line
    const last = waiters.at(-1)
    const atEnd = !last || last.priority >= priority
    const place = atEnd ? waiters.length : waiters.findIndex((waiter) => waiter.priority < priority)
    const ahead = atEnd ? line.cost : sumOfCosts(waiters.slice(0, place))
    const turnMs =
      cost > bucket.limit.burstCapacity ? Number.POSITIVE_INFINITY : this.#turnInMs(bucket, ahead + cost)
    if (turnMs === Number.POSITIVE_INFINITY || now + turnMs > deadlineAt || waiters.length >= MAX_WAITERS) {
      return Promise.reject(this.#limiter.refusal(endpoint, bucket, turnMs))
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        endpoint,
        cost,
        priority,
        resolve,
        reject,
        release: undefined,
        expiry: undefined,
      }
      waiters.splice(place, 0, waiter)
      line.cost += cost
      this.#lines.set(bucket, line)
      bucket.waiting += 1
      if (deadlineAt !== Number.POSITIVE_INFINITY) {
        waiter.expiry = this.#clock.setTimeout(
          () => this.#expire(bucket, line, waiter),
          Math.max(0, deadlineAt - now),
          this.#unref,
        )
      }
      if (signal) waiter.release = onAbort(signal, () => this.#leave(bucket, line, waiter, aborted(signal)))
      if (place === 0) this.#schedule(bucket, line)
    })
  }

  /** Sends everyone away. */
  clear(error: unknown): void {
    for (const [bucket, line] of this.#lines) {
      for (const waiter of [...line.waiters]) this.#leave(bucket, line, waiter, error)
    }
  }

  /** When `cost` tokens, those of everyone ahead included, will have come: a line may need more than one burst. */
  #turnInMs(bucket: Bucket, cost: number): number {
    const { tokensPerSecond, burstCapacity } = bucket.limit
    const waitMs = this.#limiter.waitMs(bucket, Math.min(cost, burstCapacity))
    return cost <= burstCapacity ? waitMs : Math.ceil(((cost - bucket.tokens) / tokensPerSecond) * 1000)
  }

  #leave(bucket: Bucket, line: Line, waiter: Waiter, error: unknown): void {
    const place = line.waiters.indexOf(waiter)
    if (place < 0) return
    line.waiters.splice(place, 1)
    line.cost -= waiter.cost
    bucket.waiting -= 1
    this.#letGo(waiter)
    waiter.reject(error)
    if (place === 0) this.#schedule(bucket, line)
  }

  /** Others went first, or the limit has become lower since: its turn did not come in time. */
  #expire(bucket: Bucket, line: Line, waiter: Waiter): void {
    const waitMs = this.#limiter.waitMs(bucket, waiter.cost)
    this.#leave(bucket, line, waiter, this.#limiter.refusal(waiter.endpoint, bucket, waitMs))
  }

  #letGo(waiter: Waiter): void {
    waiter.release?.()
    if (waiter.expiry !== undefined) this.#clock.clearTimeout(waiter.expiry)
  }

  #schedule(bucket: Bucket, line: Line): void {
    if (line.timer !== undefined) this.#clock.clearTimeout(line.timer)
    line.timer = undefined
    const first = line.waiters[0]
    if (!first) {
      this.#lines.delete(bucket)
      return
    }
    const waitMs = this.#limiter.waitMs(bucket, first.cost)
    line.timer = this.#clock.setTimeout(
      () => this.#serve(bucket, line),
      Math.min(waitMs, RECHECK_MS),
      this.#unref,
    )
  }

  #serve(bucket: Bucket, line: Line): void {
    line.timer = undefined
    for (;;) {
      const first = line.waiters[0]
      if (!first) break
      if (this.#limiter.enabled && !this.#limiter.takeFrom(bucket, first.cost)) break
      line.waiters.shift()
      line.cost -= first.cost
      bucket.waiting -= 1
      this.#letGo(first)
      first.resolve()
    }
    this.#schedule(bucket, line)
  }
}

/** A limit may be raised, or switched off, while somebody waits: look again at least this often. */
const RECHECK_MS = 1000

function sumOfCosts(waiters: readonly Waiter[]): number {
  return waiters.reduce((sum, waiter) => sum + waiter.cost, 0)
}

function aborted(signal: AbortSignal): AbortError {
  return new AbortError('aborted while waiting for a rate limit token', { cause: signal.reason })
}
