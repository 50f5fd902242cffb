// Counting what happened in the last so many milliseconds, in a fixed amount of memory.

const SLICES = 10

/**
 * Counts calls and up to two kinds of marks among them (failed, slow) over a window that slides in ten steps.
 * What is read covers between nine and ten tenths of the window, never more than the window.
 */
export class SlidingWindow {
  readonly #sliceMs: number
  readonly #calls = new Int32Array(SLICES)
  readonly #failed = new Int32Array(SLICES)
  readonly #slow = new Int32Array(SLICES)
  #slice = 0
  calls = 0
  failed = 0
  slow = 0

  /** @param windowMs length of the window in milliseconds */
  constructor(windowMs: number) {
    this.#sliceMs = windowMs / SLICES
  }

  /** Counts one call. Reading `calls`, `failed` and `slow` right afterwards needs no `advance`. */
  add(now: number, failed: boolean, slow: boolean): void {
    this.advance(now)
    const index = this.#slice % SLICES
    this.#calls[index]! += 1
    this.calls += 1
    if (failed) {
      this.#failed[index]! += 1
      this.failed += 1
    }
    if (slow) {
      this.#slow[index]! += 1
      this.slow += 1
    }
  }

  /** Forgets every slice that has left the window: all of them after a long silence, not just the next one. */
  advance(now: number): void {
    const slice = Math.floor(now / this.#sliceMs)
    if (slice <= this.#slice) return
    const steps = Math.min(SLICES, slice - this.#slice)
    for (let step = 0; step < steps; step += 1) {
      const index = (slice + SLICES - step) % SLICES
      this.calls -= this.#calls[index]!
      this.failed -= this.#failed[index]!
      this.slow -= this.#slow[index]!
      this.#calls[index] = this.#failed[index] = this.#slow[index] = 0
    }
    this.#slice = slice
  }

  clear(): void {
    this.#calls.fill(0)
    this.#failed.fill(0)
    this.#slow.fill(0)
    this.calls = this.failed = this.slow = 0
  }
}
