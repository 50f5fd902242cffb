// What is under way in a client, so that it can be ended with it.
//
// A Set would do, but for its garbage: each time a Set that is added to and deleted from makes room, the table it leaves
// behind points to the next one (for iterators that may still walk it) and to all it held. Once one such table is old, every
// later one is kept alive by it, and the young generation fills with calls that are long over.

import type { CommsError } from '../core/errors.ts'

/** Something under way that has to end when the client is disposed of. */
export interface Live {
  /** Its place in the list; the list's own affair. */
  place: number
  end(error: CommsError): void
}

/** Adds and removes in constant time; the order is none. */
export class LiveList {
  readonly #items: Live[] = []

  get size(): number {
    return this.#items.length
  }

  add(item: Live): void {
    item.place = this.#items.length
    this.#items.push(item)
  }

  /** Removes an item; one that is not there is ignored. */
  delete(item: Live): void {
    if (this.#items[item.place] !== item) return
    const last = this.#items.pop() as Live
    if (last === item) return
    this.#items[item.place] = last
    last.place = item.place
  }

  /** Ends everything. */
  end(error: CommsError): void {
    for (const item of [...this.#items]) item.end(error)
  }
}
