// How long the last operations took, for one question: which delay do so many of them stay under?

const SIZE = 128
/** Sorting at every record would cost more than it tells: the quantile is looked up again after this many. */
const REFRESH = 16

/** The latest 128 durations, in milliseconds. */
export class LatencyWindow {
  readonly #latencies = new Float64Array(SIZE)
  #count = 0
  #sorted: Float64Array | undefined
  #sortedAt = 0

  /** How many durations were recorded in all. */
  get count(): number {
    return this.#count
  }

  record(durationMs: number): void {
    this.#latencies[this.#count % SIZE] = durationMs
    this.#count += 1
  }

  /** The duration that a share `quantile` (0 to 1) of the window stays under or at; `undefined` before the first. */
  quantile(quantile: number): number | undefined {
    if (this.#count === 0) return undefined
    if (!this.#sorted || this.#count - this.#sortedAt >= REFRESH || this.#count < REFRESH) {
      this.#sorted = this.#latencies.slice(0, Math.min(this.#count, SIZE)).sort()
      this.#sortedAt = this.#count
    }
    return this.#sorted[Math.min(this.#sorted.length - 1, Math.floor(quantile * this.#sorted.length))]
  }
}
