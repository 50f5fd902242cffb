// Asking a second time when the first answer is slow, and taking whichever comes first (Dean and Barroso, "The Tail at
// Scale", 2013). Only for operations that may run twice. As in gRPC's A6, a hedge that fails sends the next at once.

import { onAbort } from '../../core/abort.ts'
import type { Clock, TimerHandle } from '../../core/clock.ts'
import { AbortError, abortedBy, fenced } from '../../core/errors.ts'
import {
  callable,
  checkOptions,
  clockRule,
  count,
  delay,
  positiveCount,
  share,
  withDefaults,
} from '../../core/options.ts'
import { systemClock } from '../../core/systemClock.ts'
import { Run } from '../layer.ts'
import { type AttemptContext, firstAttempt, type Operation, type Policy } from '../Policy.ts'
import type { RetryBudget } from '../retry/retryBudget.ts'
import { LatencyWindow } from './latencyWindow.ts'

export interface HedgeOptions {
  /** A fixed wait before each hedge, in milliseconds. @default learned: see `quantile` */
  delay?: number | undefined
  /** The wait is what this share of recent operations stayed under. @default 0.95 */
  quantile?: number | undefined
  /** Operations to have seen before the first hedge is sent by quantile. @default 20 */
  minSamples?: number | undefined
  /** Hedges beyond the first call. @default 1 */
  maxHedges?: number | undefined
  /** Shared with retries: a hedge is paid from it like one. @default none */
  budget?: RetryBudget | undefined
  /** Which errors let the others go on; any other ends the call. @default all */
  handle?: ((error: unknown) => boolean) | undefined
  /** Told of every hedge sent. */
  onHedge?: ((event: { attempt: number; afterMs: number }) => void) | undefined
  clock?: Clock | undefined
}

const defaults = { quantile: 0.95, minSamples: 20, maxHedges: 1 }
const rules = {
  delay,
  quantile: share,
  minSamples: positiveCount,
  maxHedges: count,
  budget: {
    expected: 'a RetryBudget',
    accepts: (value: unknown) => typeof (value as RetryBudget)?.tryWithdraw === 'function',
  },
  handle: callable,
  onHedge: callable,
  clock: clockRule,
}

/**
 * Sends hedges; losers have their signal aborted.
 * @throws the last error when all fail; AbortError when the caller aborts; CommsError `CALLBACK_FAILED` when a function among the
 *   options throws
 */
export function hedge(options: HedgeOptions = {}): Policy {
  checkOptions('hedge', options, rules)
  const { quantile, minSamples, maxHedges } = withDefaults(defaults, options)
  const { budget, handle = () => true, onHedge, clock = systemClock, delay } = options
  const latencies = new LatencyWindow()
  const terms: HedgeTerms = {
    maxHedges,
    budget,
    clock,
    latencies,
    handle: (error) => fenced('handle', () => handle(error)),
    onHedge: (event) => fenced('onHedge', () => onHedge?.(event)),
    delayMs() {
      if (delay !== undefined) return delay
      return latencies.count < minSamples ? Infinity : (latencies.quantile(quantile) as number)
    },
  }
  return {
    execute<T>(operation: Operation<T>, context: AttemptContext = firstAttempt): Promise<T> {
      const race = new Race(terms, operation, context)
      race.start()
      return race.promise as Promise<T>
    },
  }
}

/** What hedging goes by. */
interface HedgeTerms {
  readonly maxHedges: number
  readonly budget: RetryBudget | undefined
  readonly clock: Clock
  readonly latencies: LatencyWindow
  handle(error: unknown): boolean
  onHedge(event: { attempt: number; afterMs: number }): void
  /** How long to wait before the next; `Infinity`: there is none. */
  delayMs(): number
}

/** One operation, running several times. */
class Race extends Run {
  readonly #terms: HedgeTerms
  readonly #operation: Operation<unknown>
  readonly #context: AttemptContext
  readonly #startedAt: number
  readonly #running = new Set<AbortController>()
  #sent = 0
  #over = false
  #timer: TimerHandle | undefined
  #stopListening: (() => void) | undefined

  constructor(terms: HedgeTerms, operation: Operation<unknown>, context: AttemptContext) {
    super()
    this.#terms = terms
    this.#operation = operation
    this.#context = context
    this.#startedAt = terms.clock.now()
  }

  start(): void {
    this.#terms.budget?.deposit(this.#startedAt)
    const { signal } = this.#context
    if (signal) {
      this.#stopListening = onAbort(signal, () => this.runInAsyncScope(this.#fail, this, abortedBy(signal)))
      if (this.#over) return
    }
    this.#send()
    this.#schedule()
  }

  #send(): void {
    this.#sent += 1
    const { clock } = this.#terms
    const { attempt, deadlineAt } = this.#context
    const controller = new AbortController()
    this.#running.add(controller)
    const sentAt = clock.now()
    const inner = { signal: controller.signal, attempt: attempt + this.#sent - 1, deadlineAt }
    const run = async () => this.#operation(inner)
    run().then(
      (value) => {
        this.#running.delete(controller)
        if (this.#over) return
        this.#terms.latencies.record(clock.now() - sentAt)
        this.#finish()
        this.resolve(value)
      },
      (error) => {
        this.#running.delete(controller)
        if (!this.#over) this.#guarded(() => this.#failed(error))
      },
    )
  }

  #failed(error: unknown): void {
    const { handle, maxHedges, delayMs, clock } = this.#terms
    const goesOn = handle(error)
    if (goesOn && this.#sent <= maxHedges && delayMs() !== Infinity) {
      if (this.#timer !== undefined) clock.clearTimeout(this.#timer)
      this.#sendHedge()
    }
    // Others may still answer; the last one to fail speaks for all.
    if (!goesOn || this.#running.size === 0) this.#fail(error)
  }

  #schedule(): void {
    const { maxHedges, delayMs, clock } = this.#terms
    this.#timer = undefined
    const ms = delayMs()
    if (this.#sent > maxHedges || ms === Infinity) return
    const due = () => this.#guarded(() => this.#sendHedge())
    this.#timer = clock.setTimeout(() => this.runInAsyncScope(due, undefined), ms)
  }

  #sendHedge(): void {
    const { budget, clock, onHedge } = this.#terms
    if (budget && !budget.tryWithdraw(clock.now())) return
    onHedge({
      attempt: this.#context.attempt + this.#sent,
      afterMs: clock.now() - this.#startedAt,
    })
    this.#send()
    this.#schedule()
  }

  /** What the app's functions throw ends it. */
  #guarded(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    if (this.#over) return
    this.#finish()
    this.reject(error)
  }

  #finish(): void {
    this.#over = true
    if (this.#timer !== undefined) this.#terms.clock.clearTimeout(this.#timer)
    this.#stopListening?.()
    for (const loser of this.#running) loser.abort(new AbortError('another answer came first'))
  }
}
