// Values measured at moments: what the heartbeat and queue traces draw. Knows no clock.

export interface Sample {
  /** Milliseconds, on the caller's clock. */
  readonly at: number
  readonly value: number
}

export class Samples {
  readonly #keepMs: number
  #samples: Sample[] = []

  /** @param keepMs how far back it remembers */
  constructor(keepMs: number) {
    this.#keepMs = keepMs
  }

  add(value: number, now: number): void {
    this.#samples.push({ at: now, value })
    // The last one before the window still says what the window begins with.
    const firstInside = this.#samples.findIndex(({ at }) => at > now - this.#keepMs)
    if (firstInside > 1) this.#samples = this.#samples.slice(firstInside - 1)
  }

  /** Adds a value only when it is another one than the last: for what holds until it changes. */
  change(value: number, now: number): void {
    if (this.last !== value) this.add(value, now)
  }

  get last(): number | undefined {
    return this.#samples.at(-1)?.value
  }

  /** Those of the window that ends now, oldest first. */
  within(now: number): readonly Sample[] {
    return this.#samples.filter(({ at }) => at >= now - this.#keepMs)
  }

  /** As steps: the window's first step begins where the window does. */
  steps(now: number): readonly Sample[] {
    const start = now - this.#keepMs
    const before = this.#samples.findLast(({ at }) => at < start)
    return [...(before ? [{ at: start, value: before.value }] : []), ...this.within(now)]
  }

  /** The one in the middle, by size, of those in the window. */
  median(now: number): number | undefined {
    const sorted = this.within(now)
      .map(({ value }) => value)
      .sort((one, other) => one - other)
    return sorted[Math.floor(sorted.length / 2)]
  }
}
