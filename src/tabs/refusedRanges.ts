// Which of a tab's messages were refused, until the tab has heard of it. A queue that overflows refuses thousands in a
// row: neighbours that were refused for the same reason are one range.

import type { Refusal, RefusedRange } from './protocol.ts'

interface Range {
  readonly n: number
  to: number
  readonly why: Refusal
}

export class RefusedRanges {
  #ranges: Range[]

  constructor(recorded: readonly RefusedRange[] = []) {
    this.#ranges = recorded.map(({ n, to = n, why }) => ({ n, to, why }))
  }

  add(n: number, why: Refusal): void {
    const ranges = this.#ranges
    // Most come in order.
    let at = ranges.length
    while (at > 0 && (ranges[at - 1] as Range).n > n) at -= 1
    const before = ranges[at - 1]
    if (before && n <= before.to) return
    if (before && before.to === n - 1 && before.why.code === why.code && before.why.message === why.message)
      before.to = n
    else ranges.splice(at, 0, { n, to: n, why })
  }

  find(n: number): Refusal | undefined {
    return this.#ranges.find((range) => range.n <= n && n <= range.to)?.why
  }

  /** The tab has heard of all below `base`. */
  forgetBelow(base: number): void {
    let gone = 0
    while (gone < this.#ranges.length && (this.#ranges[gone] as Range).to < base) gone += 1
    if (gone > 0) this.#ranges = this.#ranges.slice(gone)
  }

  /** Those up to `last`, to be recorded. */
  upTo(last: number): RefusedRange[] {
    return this.#ranges
      .filter(({ n }) => n <= last)
      .map(({ n, to, why }) => (to === n ? { n, why } : { n, to: Math.min(to, last), why }))
  }
}
