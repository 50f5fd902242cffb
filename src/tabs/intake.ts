// What a leader does with the messages of tabs: each is taken once and in its order, whoever led before and however often
// it is sent. It knows no connection: it says what to do.

import type { Mark, Refusal } from './protocol.ts'

/** What to do with a message of a tab. */
export type Verdict =
  /** It is the next: give it to the connection. */
  | { readonly do: 'take' }
  /** It was taken before. */
  | { readonly do: 'confirm' }
  /** It was refused before. */
  | { readonly do: 'refuse'; readonly why: Refusal }
  /** It is under way, and will be told about. */
  | { readonly do: 'nothing' }
  /** Earlier ones are missing: the tab is to send all again. */
  | { readonly do: 'again' }

export class Intake {
  readonly #marks: Map<string, Mark>
  /** Taken by this leader, and not known to be recorded. */
  readonly #underWay = new Map<string, Set<number>>()

  /** @param marks as they are recorded */
  constructor(marks: Iterable<readonly [string, Mark]>) {
    this.#marks = new Map(marks)
  }

  get tabs(): string[] {
    return [...this.#marks.keys()]
  }

  /** What to record for a tab. */
  mark(tab: string): Mark | undefined {
    return this.#marks.get(tab)
  }

  judge(tab: string, n: number, base: number): Verdict {
    const known = this.#marks.get(tab) ?? { n: 0, refused: [] }
    // What is below `base` the tab has heard of: it is no gap, and need not be remembered.
    const mark = { n: Math.max(known.n, base - 1), refused: known.refused.filter((one) => one.n >= base) }
    this.#marks.set(tab, mark)
    if (n > mark.n + 1) return { do: 'again' }
    if (n === mark.n + 1) {
      this.#marks.set(tab, { ...mark, n })
      const underWay = this.#underWay.get(tab) ?? new Set()
      this.#underWay.set(tab, underWay.add(n))
      return { do: 'take' }
    }
    if (this.#underWay.get(tab)?.has(n)) return { do: 'nothing' }
    const refused = mark.refused.find((one) => one.n === n)
    return refused ? { do: 'refuse', why: refused.why } : { do: 'confirm' }
  }

  /** A message that was taken is recorded. */
  recorded(tab: string, n: number): void {
    this.#underWay.get(tab)?.delete(n)
  }

  /** A message that was taken is refused after all. */
  refused(tab: string, n: number, why: Refusal): void {
    this.recorded(tab, n)
    const mark = this.#marks.get(tab)
    if (mark) this.#marks.set(tab, { ...mark, refused: [...mark.refused, { n, why }] })
  }

  /** A tab is gone for good. */
  forget(tab: string): void {
    this.#marks.delete(tab)
    this.#underWay.delete(tab)
  }
}
