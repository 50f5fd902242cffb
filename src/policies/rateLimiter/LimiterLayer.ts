// A token for each attempt: taken, waited for, or refused. What a run takes from which bucket is said by its terms.

import { onAbort } from '../../core/abort.ts'
import type { Clock, TimerHandle } from '../../core/clock.ts'
import { abortedBy } from '../../core/errors.ts'
import { around, type Ending, type Inner, LayerPolicy, type Run, type Underway } from '../layer.ts'
import type { AttemptContext } from '../Policy.ts'
import type { Bucket } from './keyedBuckets.ts'
import type { RateLimiter } from './RateLimiter.ts'
import type { TokenRequest } from './TokenQueue.ts'

/** What a run takes. */
export interface TokenDemand extends Pick<TokenRequest, 'category' | 'cost' | 'priority'> {
  readonly endpoint: string
}

/** What is told of an attempt that finds no token. */
export interface LimitedEvent {
  readonly endpoint: string
  readonly category: string
  readonly waiting: boolean
  readonly retryAfter: number
}

/** What limiting goes by: the same for all in a policy by itself, each call's own in a client. */
export interface LimiterTerms<R extends Run = Run> {
  readonly clock: Clock
  readonly unref: boolean
  readonly limiter: RateLimiter
  /** Whether who finds no token gets in line; otherwise it is refused. */
  readonly queues: boolean
  /** A retry is not refused: it pays before its tokens are there, and goes when they are. */
  readonly retriesWait: boolean
  demandOf(run: R): TokenDemand
  /** Gets in line at a bucket that has refused. */
  join(endpoint: string, bucket: Bucket, request: TokenRequest): Promise<void>
  onLimited?(event: LimitedEvent, run: R): void
}

export class LimiterLayer<R extends Run = Run> extends LayerPolicy<R> {
  protected readonly terms: LimiterTerms<R>

  constructor(terms: LimiterTerms<R>) {
    super()
    this.terms = terms
  }

  [around](inner: Inner<R>): Inner<R> {
    return new Limiting(this.terms, inner)
  }
}

class Limiting<R extends Run> implements Inner<R> {
  readonly terms: LimiterTerms<R>
  readonly inner: Inner<R>

  constructor(terms: LimiterTerms<R>, inner: Inner<R>) {
    this.terms = terms
    this.inner = inner
  }

  enter(run: R, context: AttemptContext, ending: Ending): void {
    const { terms } = this
    const { limiter } = terms
    const demand = terms.demandOf(run)
    let refusedBy: Bucket | undefined
    try {
      const now = run.now(terms.clock)
      const sameTime = limiter.clock === terms.clock ? now : undefined
      refusedBy = limiter.take(demand.endpoint, demand.category, demand.cost, sameTime)
    } catch (error) {
      ending.reject(error)
      return
    }
    if (refusedBy) this.#limited(refusedBy, demand, run, context, ending)
    else this.inner.enter(run, context, ending)
  }

  #limited(bucket: Bucket, demand: TokenDemand, run: R, context: AttemptContext, ending: Ending): void {
    const { terms } = this
    const { limiter, queues, retriesWait } = terms
    const { endpoint, cost = 1 } = demand
    const retryAfter = limiter.waitMs(bucket, cost)
    const inTime = run.now(terms.clock) + retryAfter < context.deadlineAt
    const waiting = queues || (retriesWait && context.attempt > 1 && inTime)
    terms.onLimited?.({ endpoint, category: bucket.category, waiting, retryAfter }, run)
    if (!waiting) {
      ending.reject(limiter.refusal(endpoint, bucket, retryAfter))
      return
    }
    ending.pause?.()
    const wait = new TokenWait(this, run, context, ending)
    if (queues) wait.inLine(bucket, demand)
    else wait.untilPaid(bucket, cost, retryAfter)
  }
}

/** An attempt that waits for its tokens. */
class TokenWait<R extends Run> implements Underway {
  readonly #layer: Limiting<R>
  readonly #run: R
  readonly #context: AttemptContext
  readonly #ending: Ending
  #over = false
  #timer: TimerHandle | undefined
  /** Leaves the line. */
  readonly #controller = new AbortController()
  /** Tokens taken that are not there yet. */
  #owed: { readonly bucket: Bucket; readonly cost: number } | undefined
  #release: (() => void) | undefined

  constructor(layer: Limiting<R>, run: R, context: AttemptContext, ending: Ending) {
    this.#layer = layer
    this.#run = run
    this.#context = context
    this.#ending = ending
  }

  inLine(bucket: Bucket, { endpoint, cost, priority }: TokenDemand): void {
    this.#start()
    if (this.#over) return
    const { deadlineAt } = this.#context
    const { signal } = this.#controller
    this.#layer.terms.join(endpoint, bucket, { cost, priority, deadlineAt, signal }).then(
      () => this.#goOn(),
      (error) => {
        if (this.#end()) this.#ending.reject(error)
      },
    )
  }

  untilPaid(bucket: Bucket, cost: number, ms: number): void {
    const { clock, unref } = this.#layer.terms
    const run = this.#run
    bucket.tokens -= cost
    this.#owed = { bucket, cost }
    this.#timer = clock.setTimeout(() => run.runInAsyncScope(this.#goOn, this), ms, unref)
    this.#start()
  }

  interrupt(error: unknown): void {
    if (!this.#end()) return
    if (this.#owed) this.#owed.bucket.tokens += this.#owed.cost
    this.#controller.abort()
    this.#ending.reject(error)
  }

  #start(): void {
    const run = this.#run
    const { signal } = this.#context
    run.underway = this
    if (!signal) return
    const gone = () => run.interrupt(abortedBy(signal, 'aborted while waiting for a rate limit token'))
    this.#release = onAbort(signal, () => run.runInAsyncScope(gone, undefined))
  }

  #goOn(): void {
    if (!this.#end()) return
    this.#run.later()
    if (this.#ending.resume?.() ?? true) this.#layer.inner.enter(this.#run, this.#context, this.#ending)
  }

  /** @returns false when it has ended before */
  #end(): boolean {
    if (this.#over) return false
    this.#over = true
    if (this.#run.underway === this) this.#run.underway = undefined
    if (this.#timer !== undefined) this.#layer.terms.clock.clearTimeout(this.#timer)
    this.#release?.()
    return true
  }
}
