// How many retries a client may afford: a share of its calls, plus a little for quiet times.
// When a backend is dead, every call fails and would retry; the budget keeps the storm at 1 + ratio of the load.
// Arithmetic: Finagle's RetryBudget (a leaky token bucket, deposits of 1000, withdrawals of 1000 / ratio).

import { checkOptions, interval, withDefaults } from '../../core/options.ts'

export interface RetryBudgetOptions {
  /** Retries allowed per call made. @default 0.2 */
  ratio?: number
  /** Retries per second allowed on top, whatever the load. @default 10 */
  reservePerSecond?: number
  /** How long a deposit counts, in milliseconds. @default 10000 */
  window?: number
}

const defaults = { ratio: 0.2, reservePerSecond: 10, window: 10_000 }
const rules = {
  ratio: 'a number from 0 to 1000',
  reservePerSecond: 'a number from 0 to 1000000',
  window: interval,
}

const SLICES = 10
const DEPOSIT = 1000

/** A budget shared by the calls of a client. Times are those of the caller's clock, in milliseconds. */
export class RetryBudget {
  readonly #sliceMs: number
  readonly #withdrawal: number
  readonly #reserve: number
  readonly #deposit: number
  /** Deposits less withdrawals, by slice of time. */
  readonly #slices = new Float64Array(SLICES)
  #slice = Number.NEGATIVE_INFINITY
  #sum = 0

  constructor(options: RetryBudgetOptions = {}) {
    checkOptions('RetryBudget', options, rules)
    const { ratio, reservePerSecond, window } = withDefaults(defaults, options)
    this.#sliceMs = window / SLICES
    // With ratio 0 calls deposit nothing and only the reserve is spent.
    this.#deposit = ratio > 0 ? DEPOSIT : 0
    this.#withdrawal = ratio > 0 ? DEPOSIT / ratio : DEPOSIT
    this.#reserve = (reservePerSecond * window * this.#withdrawal) / 1000
  }

  /** Counts a call that was made (not its retries). */
  deposit(now: number): void {
    this.#turn(now)
    this.#add(this.#deposit)
  }

  /** Takes what one retry costs; false when the budget is spent. */
  tryWithdraw(now: number): boolean {
    this.#turn(now)
    if (this.#reserve + this.#sum < this.#withdrawal) return false
    this.#add(-this.#withdrawal)
    return true
  }

  /** How many retries could be afforded at this moment. */
  available(now: number): number {
    this.#turn(now)
    return Math.max(0, Math.floor((this.#reserve + this.#sum) / this.#withdrawal))
  }

  #add(amount: number): void {
    const index = this.#slice % SLICES
    this.#slices[index] = (this.#slices[index] as number) + amount
    this.#sum += amount
  }

  /** Forgets every slice that has left the window, however long nothing happened. */
  #turn(now: number): void {
    const slice = Math.floor(now / this.#sliceMs)
    if (slice <= this.#slice) return
    const steps = Math.min(SLICES, slice - this.#slice)
    for (let step = 0; step < steps; step += 1) {
      const index = (slice + SLICES - step) % SLICES
      this.#sum -= this.#slices[index] as number
      this.#slices[index] = 0
    }
    this.#slice = slice
  }
}
