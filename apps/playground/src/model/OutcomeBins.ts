// How requests ended, counted second by second: what the request trace draws.

export const OUTCOMES = ['ok', 'retry', 'limited', 'failed'] as const
export type Outcome = (typeof OUTCOMES)[number]

export interface Bin {
  /** Milliseconds, on the caller's clock: its beginning. */
  readonly from: number
  readonly counts: Readonly<Record<Outcome, number>>
}

export class OutcomeBins {
  readonly binMs: number
  readonly #keepMs: number
  #bins: { readonly from: number; readonly counts: Record<Outcome, number> }[] = []

  constructor(binMs: number, keepMs: number) {
    this.binMs = binMs
    this.#keepMs = keepMs
  }

  add(outcome: Outcome, now: number): void {
    const from = Math.floor(now / this.binMs) * this.binMs
    let bin = this.#bins.at(-1)
    if (bin?.from !== from) {
      bin = { from, counts: { ok: 0, retry: 0, limited: 0, failed: 0 } }
      this.#bins.push(bin)
      this.#bins = this.#bins.filter((old) => old.from + this.binMs > now - this.#keepMs)
    }
    bin.counts[outcome] += 1
  }

  /** Those of the window that ends now in which something happened, oldest first. */
  within(now: number): readonly Bin[] {
    return this.#bins.filter(({ from }) => from + this.binMs > now - this.#keepMs)
  }
}
