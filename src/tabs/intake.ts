// What a leader does with the messages of tabs: each is taken once and in its order, whoever led before and however often
// it is sent. It knows no connection: it says what to do.

import type { Mark, Refusal } from './protocol.ts'
import { RecentNames } from './RecentNames.ts'
import { RefusedRanges } from './refusedRanges.ts'

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

interface Known {
  /** Taken or refused up to here. */
  n: number
  /** The tab has heard of all below. */
  base: number
  readonly refused: RefusedRanges
  /** Taken by this leader, and not known to be recorded. */
  readonly underWay: Set<number>
}

/** The names of so many forgotten tabs are kept: what a channel still holds of them must not be taken again. */
const FORGOTTEN = 10_000

export class Intake {
  readonly #known = new Map<string, Known>()
  readonly #forgotten = new RecentNames(FORGOTTEN)

  /** @param marks as they are recorded */
  constructor(marks: Iterable<readonly [string, Mark]>) {
    for (const [tab, { n, refused }] of marks)
      this.#known.set(tab, { n, base: 1, refused: new RefusedRanges(refused), underWay: new Set() })
  }

  get tabs(): string[] {
    return [...this.#known.keys()]
  }

  /** What to record for a tab whose messages up to `last` are recorded with it. */
  mark(tab: string, last = this.#known.get(tab)?.n ?? 0): Mark {
    return { n: last, refused: this.#known.get(tab)?.refused.upTo(last) ?? [] }
  }

  judge(tab: string, n: number, base: number): Verdict {
    if (this.#forgotten.has(tab)) return { do: 'nothing' }
    let known = this.#known.get(tab)
    if (!known) {
      known = { n: 0, base: 1, refused: new RefusedRanges(), underWay: new Set() }
      this.#known.set(tab, known)
    }
    // What is below `base` the tab has heard of: it is no gap, and need not be remembered.
    if (base > known.base) {
      known.base = base
      known.n = Math.max(known.n, base - 1)
      known.refused.forgetBelow(base)
    }
    if (n > known.n + 1) return { do: 'again' }
    if (n === known.n + 1) {
      known.n = n
      known.underWay.add(n)
      return { do: 'take' }
    }
    if (known.underWay.has(n)) return { do: 'nothing' }
    const why = known.refused.find(n)
    return why ? { do: 'refuse', why } : { do: 'confirm' }
  }

  /** A message that was taken is recorded. */
  recorded(tab: string, n: number): void {
    this.#known.get(tab)?.underWay.delete(n)
  }

  /** A message that was taken is refused after all. */
  refused(tab: string, n: number, why: Refusal): void {
    const known = this.#known.get(tab)
    if (!known) return
    known.underWay.delete(n)
    if (n >= known.base) known.refused.add(n, why)
  }

  /** A tab is gone for good. */
  forget(tab: string): void {
    this.#known.delete(tab)
    this.#forgotten.add(tab)
  }
}
