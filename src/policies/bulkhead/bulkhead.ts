// So many at a time, so many waiting, no more: one slow dependency cannot take every resource with it.

import { onAbort } from '../../core/abort.ts'
import type { Clock, TimerHandle } from '../../core/clock.ts'
import { abortedBy, BulkheadError, TimeoutError } from '../../core/errors.ts'
import { checkOptions, clockRule, count, positiveCount, withDefaults } from '../../core/options.ts'
import { RingBuffer } from '../../core/ringBuffer.ts'
import { systemClock } from '../../core/systemClock.ts'
import { around, type Ending, type Inner, LayerPolicy, Link, type Run } from '../layer.ts'
import type { AttemptContext } from '../Policy.ts'

export interface BulkheadOptions {
  /** Operations that may run at once. @default 10 */
  maxConcurrent?: number | undefined
  /** Operations that may wait for their turn. @default 0: none, they are refused */
  maxQueue?: number | undefined
  /** For deadlines of those who wait. */
  clock?: Clock | undefined
}

const defaults = { maxConcurrent: 10, maxQueue: 0 }
const rules = { maxConcurrent: positiveCount, maxQueue: count, clock: clockRule }

interface Waiter {
  readonly enter: () => void
}

/** Limits how many operations run at once; those beyond wait in order of arrival, or are refused. */
export class Bulkhead extends LayerPolicy {
  readonly #maxConcurrent: number
  readonly #maxQueue: number
  readonly #clock: Clock
  readonly #waiters = new RingBuffer<Waiter>()
  #running = 0

  /** @throws TypeError or RangeError naming the option */
  constructor(options: BulkheadOptions = {}) {
    super()
    checkOptions('bulkhead', options, rules)
    const { maxConcurrent, maxQueue } = withDefaults(defaults, options)
    this.#maxConcurrent = maxConcurrent
    this.#maxQueue = maxQueue
    this.#clock = options.clock ?? systemClock
  }

  /** Operations running now. */
  get running(): number {
    return this.#running
  }

  /** Operations waiting now. */
  get queued(): number {
    return this.#waiters.length
  }

  /**
   * Takes a place; give it back with `release`.
   * @returns `undefined` when there was one at once
   * @param deadlineAt when the wait must be over, on the clock of the bulkhead
   * @throws BulkheadError when nobody more may wait; AbortError when the signal aborts during the wait; TimeoutError when
   *   the deadline passes in it
   */
  acquire(signal?: AbortSignal, deadlineAt: number = Infinity): Promise<void> | undefined {
    if (this.#running < this.#maxConcurrent) {
      this.#running += 1
      return undefined
    }
    if (this.#waiters.length >= this.#maxQueue) {
      throw new BulkheadError(
        `bulkhead is full: ${this.#running} running (maxConcurrent ${this.#maxConcurrent}), ${this.#waiters.length} waiting (maxQueue ${this.#maxQueue})`,
      )
    }
    return new Promise((resolve, reject) => {
      let stopListening: (() => void) | undefined
      let expiry: TimerHandle | undefined
      const letGo = () => {
        stopListening?.()
        if (expiry !== undefined) this.#clock.clearTimeout(expiry)
      }
      const waiter: Waiter = {
        enter() {
          letGo()
          resolve()
        },
      }
      const leave = (error: unknown) => {
        letGo()
        this.#waiters.remove((other) => other === waiter)
        reject(error)
      }
      this.#waiters.push(waiter)
      if (deadlineAt !== Infinity) {
        const timeoutMs = Math.max(0, deadlineAt - this.#clock.now())
        const message = 'timeout: the deadline of the call has passed in the bulkhead'
        expiry = this.#clock.setTimeout(
          () => leave(new TimeoutError(message, { phase: 'deadline', timeoutMs })),
          timeoutMs,
        )
      }
      if (signal) {
        stopListening = onAbort(signal, () =>
          leave(abortedBy(signal, 'aborted while waiting in the bulkhead')),
        )
      }
    })
  }

  /** Gives a place back: to the first that waits, if there is one. */
  release(): void {
    const next = this.#waiters.shift()
    if (next) next.enter()
    else this.#running -= 1
  }

  [around](inner: Inner): Inner {
    return { enter: (run, context, ending) => this.#enter(inner, run, context, ending) }
  }

  #enter(inner: Inner, run: Run, context: AttemptContext, ending: Ending): void {
    const placed = new Placed(this, ending)
    let turn: Promise<void> | undefined
    try {
      turn = this.acquire(context.signal, context.deadlineAt)
    } catch (error) {
      ending.reject(error)
      return
    }
    if (!turn) {
      inner.enter(run, context, placed)
      return
    }
    turn.then(
      () => {
        run.later()
        inner.enter(run, context, placed)
      },
      (error) => ending.reject(error),
    )
  }
}

/** An operation that has its place. */
class Placed extends Link {
  readonly #bulkhead: Bulkhead

  constructor(bulkhead: Bulkhead, ending: Ending) {
    super(ending)
    this.#bulkhead = bulkhead
  }

  override resolve(value: unknown): void {
    this.#bulkhead.release()
    super.resolve(value)
  }

  override reject(error: unknown): void {
    this.#bulkhead.release()
    super.reject(error)
  }
}

/** A bulkhead as a policy for `compose`. */
export function bulkhead(options: BulkheadOptions = {}): Bulkhead {
  return new Bulkhead(options)
}
