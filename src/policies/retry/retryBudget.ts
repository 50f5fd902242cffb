// How many retries a client may afford: a share of its calls, plus a little for quiet times.
// When a backend is dead, every call fails and would retry; the budget keeps the storm at 1 + ratio of the load.
// Arithmetic: Finagle's RetryBudget (a leaky token bucket, deposits of 1000, withdrawals of 1000 / ratio).

import { checkOptions, interval, withDefaults } from '../../core/options.ts'
import { SlidingWindow } from '../slidingWindow.ts'

export interface RetryBudgetOptions {
  /** Retries allowed per call made. @default 0.2 */
  ratio?: number | undefined
  /** Retries per second allowed on top, whatever the load. @default 10 */
  reservePerSecond?: number | undefined
  /** How long a deposit counts, in milliseconds. @default 10000 */
  window?: number | undefined
}

const defaults = { ratio: 0.2, reservePerSecond: 10, window: 10_000 }
const rules = {
  ratio: 'a number from 0 to 1000',
  reservePerSecond: 'a number from 0 to 1000000',
  window: interval,
}

const DEPOSIT = 1000

/** A budget shared by the calls of a client. Times are those of the caller's clock, in milliseconds. */
export class RetryBudget {
  readonly #withdrawal: number
  readonly #reserve: number
  readonly #deposit: number
  /** Deposits less withdrawals. */
  readonly #window: SlidingWindow

  constructor(options: RetryBudgetOptions = {}) {
    checkOptions('RetryBudget', options, rules)
    const { ratio, reservePerSecond, window } = withDefaults(defaults, options)
    this.#window = new SlidingWindow(window)
    // With ratio 0 calls deposit nothing and only the reserve is spent.
    this.#deposit = ratio > 0 ? DEPOSIT : 0
    this.#withdrawal = ratio > 0 ? DEPOSIT / ratio : DEPOSIT
    this.#reserve = (reservePerSecond * window * this.#withdrawal) / 1000
  }

  /** Counts a call that was made (not its retries). */
  deposit(now: number): void {
    this.#window.add(now, 0, this.#deposit)
  }

  /** Takes what one retry costs; false when the budget is spent. */
  tryWithdraw(now: number): boolean {
    const affordable = this.available(now) > 0
    if (affordable) this.#window.add(now, 0, -this.#withdrawal)
    return affordable
  }

  /** How many retries could be afforded at this moment. */
  available(now: number): number {
    this.#window.advance(now)
    return Math.max(0, Math.floor((this.#reserve + (this.#window.sums[0] as number)) / this.#withdrawal))
  }
}
