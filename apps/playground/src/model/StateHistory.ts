// Which state the line was in, and when: what the timeline draws.

export interface Span {
  readonly state: string
  /** Milliseconds, on the caller's clock. */
  readonly from: number
  readonly to: number
}

export class StateHistory {
  readonly #keepMs: number
  #changes: { readonly state: string; readonly at: number }[] = []

  /** @param keepMs how far back it remembers */
  constructor(keepMs: number) {
    this.#keepMs = keepMs
  }

  enter(state: string, now: number): void {
    if (this.#changes.at(-1)?.state === state) return
    this.#changes.push({ state, at: now })
    // The last change before the window still says which state the window begins in.
    const firstInside = this.#changes.findIndex(({ at }) => at > now - this.#keepMs)
    if (firstInside > 1) this.#changes = this.#changes.slice(firstInside - 1)
  }

  /** The spans of the window that ends now, oldest first, without gaps. */
  spans(now: number): Span[] {
    const start = now - this.#keepMs
    return this.#changes
      .map(({ state, at }, index) => ({
        state,
        from: Math.max(start, at),
        to: this.#changes[index + 1]?.at ?? now,
      }))
      .filter(({ from, to }) => to > from || to === now)
      .filter(({ to }) => to >= start)
  }
}
