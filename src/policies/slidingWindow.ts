// Adding up what happened in the last so many milliseconds, in a fixed amount of memory.

const SLICES = 10

/**
 * Sums of one or several kinds over a window that slides in ten steps.
 * What is read covers between nine and ten tenths of the window, never more than the window.
 */
export class SlidingWindow {
  /** By kind, as of the last `add` or `advance`. */
  readonly sums: number[]
  readonly #sliceMs: number
  readonly #amounts: Float64Array
  #slice = Number.NEGATIVE_INFINITY

  /**
   * @param windowMs length of the window in milliseconds
   * @param kinds how many sums
   */
  constructor(windowMs: number, kinds = 1) {
    this.#sliceMs = windowMs / SLICES
    this.sums = Array(kinds).fill(0)
    this.#amounts = new Float64Array(SLICES * kinds)
  }

  /** Adds to the sum of a kind. */
  add(now: number, kind: number, amount: number): void {
    this.advance(now)
    const index = this.#indexOf(this.#slice) + kind
    this.#amounts[index] = (this.#amounts[index] as number) + amount
    this.sums[kind] = (this.sums[kind] as number) + amount
  }

  /** Forgets every slice that has left the window: all of them after a long silence, not just the next one. */
  advance(now: number): void {
    const slice = Math.floor(now / this.#sliceMs)
    for (let step = Math.min(SLICES, slice - this.#slice); step > 0; step -= 1) {
      const index = this.#indexOf(slice + SLICES + 1 - step)
      for (const kind of this.sums.keys()) {
        this.sums[kind] = (this.sums[kind] as number) - (this.#amounts[index + kind] as number)
        this.#amounts[index + kind] = 0
      }
    }
    this.#slice = Math.max(this.#slice, slice)
  }

  clear(): void {
    this.sums.fill(0)
    this.#amounts.fill(0)
  }

  #indexOf(slice: number): number {
    return (slice % SLICES) * this.sums.length
  }
}
