// What strangers make a server hold, all of it together: what they do not read, messages that have not come whole, bodies,
// questions that wait. Beyond the limit whoever holds most gives up what he holds: nobody pays for what another queues.

/** What a small thing costs in memory beside its bytes: objects, list entries, headers. */
export const ITEM_COST = 300

/** Something that holds memory for somebody. */
export interface Holder {
  /** Whom it is held for: a principal, or an address where nobody has said who it is. */
  readonly owner: string
  /** Bytes that it holds now. */
  measure(): number
  /** Lets go of them, whatever that costs its owner. */
  giveUp(): void
}

/** Whom something is held for: who it is said to be, else where it comes from. */
export function ownerOf(principal: string | undefined, address: string | undefined): string {
  return principal === undefined ? `address ${address}` : `principal ${principal}`
}

/** Below this nobody is asked for anything: it would cost more than it gives. */
const WORTHWHILE_BYTES = 4096

export class MemoryBudget {
  readonly maxBytes: number
  readonly #onGivenUp: (holder: Holder, bytes: number) => void
  /** What each held when it said so last. */
  readonly #held = new Map<Holder, number>()
  #bytes = 0
  #relieving = false

  /** @param onGivenUp is told who had to go */
  constructor(maxBytes: number, onGivenUp: (holder: Holder, bytes: number) => void = () => {}) {
    this.maxBytes = maxBytes
    this.#onGivenUp = onGivenUp
  }

  /** Bytes that are held, as far as it was told. */
  get bytes(): number {
    return this.#bytes
  }

  /** `holder` holds so many bytes by now; 0 for nothing. May have holders give up, this one among them. */
  hold(holder: Holder, bytes: number): void {
    this.#note(holder, bytes)
    if (this.#bytes > this.maxBytes && !this.#relieving) this.#relieve()
  }

  #note(holder: Holder, bytes: number): void {
    const before = this.#held.get(holder) ?? 0
    if (before === bytes) return
    this.#bytes += bytes - before
    if (bytes > 0) this.#held.set(holder, bytes)
    else this.#held.delete(holder)
  }

  #relieve(): void {
    this.#relieving = true
    for (const holder of [...this.#held.keys()]) this.#note(holder, holder.measure())
    // Some room at once, so that the next byte does not have all looked at again.
    const goal = this.#bytes > this.maxBytes ? (this.maxBytes * 7) / 8 : this.maxBytes
    while (this.#bytes > goal) {
      const largest = this.#largest()
      if (!largest) break
      const bytes = this.#held.get(largest) ?? 0
      this.#note(largest, 0)
      this.#onGivenUp(largest, bytes)
      largest.giveUp()
    }
    this.#relieving = false
  }

  /** The largest of whoever holds most. */
  #largest(): Holder | undefined {
    const byOwner = new Map<string, { bytes: number; largest: Holder; most: number }>()
    for (const [holder, bytes] of this.#held) {
      const known = byOwner.get(holder.owner)
      if (!known) byOwner.set(holder.owner, { bytes, largest: holder, most: bytes })
      else {
        known.bytes += bytes
        if (bytes > known.most) Object.assign(known, { largest: holder, most: bytes })
      }
    }
    let found: { bytes: number; largest: Holder; most: number } | undefined
    for (const one of byOwner.values()) if (!found || one.bytes > found.bytes) found = one
    return found && found.most >= Math.min(WORTHWHILE_BYTES, this.maxBytes) ? found.largest : undefined
  }
}
