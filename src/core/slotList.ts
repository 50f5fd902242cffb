// A set of things that come and go quickly.
//
// A Set would do, but for its garbage: each time a Set that is added to and deleted from makes room, the table it leaves
// behind points to the next one (for iterators that may still walk it) and to all it held. Once one such table is old, every
// later one is kept alive by it, and the young generation fills with things that are long over.

/** Something that knows its place in a `SlotList`. It can be in one list at a time. */
export interface Slotted {
  /** The list's own affair. */
  place: number
}

/** Adds and removes in constant time; the order is none. */
export class SlotList<T extends Slotted> {
  readonly #items: T[] = []

  get size(): number {
    return this.#items.length
  }

  add(item: T): void {
    item.place = this.#items.length
    this.#items.push(item)
  }

  has(item: T): boolean {
    return this.#items[item.place] === item
  }

  /** Removes an item; one that is not there is ignored. */
  delete(item: T): void {
    if (!this.has(item)) return
    const last = this.#items.pop() as T
    if (last === item) return
    this.#items[item.place] = last
    last.place = item.place
  }

  /** All of this moment: safe to walk while they come and go. */
  snapshot(): T[] {
    return this.#items.slice()
  }
}
