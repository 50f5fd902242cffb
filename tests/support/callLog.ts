// The calls of a fleet, and whether they kept a limit over every window of time.

export class CallLog {
  readonly #burst: number
  readonly #perMs: number
  #level: number
  #at: number | undefined
  /** How many calls too many there were in the worst window; at most 0 when the limit was kept in each. */
  excess = -Infinity
  count = 0

  constructor(tokensPerSecond: number, burstCapacity: number) {
    this.#perMs = tokensPerSecond / 1000
    this.#burst = burstCapacity
    this.#level = burstCapacity
  }

  /** In the order of time. A bucket that starts full and never falls below 0 is the same as all windows looked at. */
  add(at: number, cost = 1): void {
    const elapsed = at - (this.#at ?? at)
    this.#level = Math.min(this.#burst, this.#level + elapsed * this.#perMs) - cost
    this.#at = at
    this.count += cost
    this.excess = Math.max(this.excess, -this.#level)
  }
}
