// When which fault was at work: drawn behind all traces, so that cause and effect stand above each other.

export interface FaultPeriod {
  readonly name: string
  /** Milliseconds, on the caller's clock. */
  readonly from: number
  /** `Infinity` while it lasts; equal to `from` for a blow. */
  readonly to: number
}

export class FaultPeriods {
  readonly #keepMs: number
  #periods: FaultPeriod[] = []

  constructor(keepMs: number) {
    this.#keepMs = keepMs
  }

  /** Something that was over at once. */
  blow(name: string, now: number): void {
    this.#keep({ name, from: now, to: now })
  }

  /** Whether a fault is at work at this moment; called as often as one likes. */
  set(name: string, active: boolean, now: number): void {
    const open = this.#periods.find(
      (period) => period.name === name && period.to === Number.POSITIVE_INFINITY,
    )
    if (active && !open) this.#keep({ name, from: now, to: Number.POSITIVE_INFINITY })
    if (!active && open) this.#periods[this.#periods.indexOf(open)] = { ...open, to: now }
  }

  /** Those of the window that ends now, oldest first; none reaches past now. */
  within(now: number): readonly FaultPeriod[] {
    return this.#periods
      .filter(({ to }) => to >= now - this.#keepMs)
      .map(({ name, from, to }) => ({
        name,
        from: Math.max(from, now - this.#keepMs),
        to: Math.min(to, now),
      }))
  }

  #keep(period: FaultPeriod): void {
    this.#periods = [...this.#periods.filter(({ to }) => to >= period.from - this.#keepMs), period]
  }
}
