// Which tabs are gone for good. A page in the back/forward cache shows no sign of life and may come back, hours are more
// than browsers keep one; what is remembered of it must last until then.

/** A tab that has not been seen for so long does not come back as it was, in milliseconds. */
export const ABSENT_MS = 3_600_000

export class Absences {
  readonly #since = new Map<string, number>()

  /** A tab was last heard of then. */
  heard(tab: string, at: number): void {
    this.#since.set(tab, at)
  }

  /** Takes note of who is there. Returns those that are gone for good. */
  see(tabs: readonly string[], present: ReadonlySet<string>, now: number): string[] {
    const absent = new Set(tabs.filter((tab) => !present.has(tab)))
    for (const tab of this.#since.keys()) if (!absent.has(tab)) this.#since.delete(tab)
    for (const tab of absent) if (!this.#since.has(tab)) this.#since.set(tab, now)
    const gone = [...absent].filter((tab) => now - (this.#since.get(tab) ?? now) >= ABSENT_MS)
    for (const tab of gone) this.#since.delete(tab)
    return gone
  }
}
