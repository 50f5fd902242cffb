// A first-in, first-out queue whose operations cost the same at any length.

/** A growing ring: `push` and `shift` are O(1), memory is given back when it drains. */
export class RingBuffer<T> {
  #slots: (T | undefined)[] = []
  #head = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  /** Appends at the tail. */
  push(item: T): void {
    if (this.#length === this.#slots.length) this.#resize(Math.max(8, this.#length * 2))
    this.#slots[(this.#head + this.#length) & (this.#slots.length - 1)] = item
    this.#length += 1
  }

  /** Puts an item back at the head: it will be the next one out. */
  unshift(item: T): void {
    if (this.#length === this.#slots.length) this.#resize(Math.max(8, this.#length * 2))
    this.#head = (this.#head - 1) & (this.#slots.length - 1)
    this.#slots[this.#head] = item
    this.#length += 1
  }

  /** Takes the oldest item, or `undefined` when empty. */
  shift(): T | undefined {
    if (this.#length === 0) return undefined
    const item = this.#slots[this.#head]
    this.#slots[this.#head] = undefined
    this.#head = (this.#head + 1) & (this.#slots.length - 1)
    this.#length -= 1
    // A quarter full: shrink by half, so that a burst does not hold its memory for ever.
    if (this.#slots.length > 64 && this.#length * 4 <= this.#slots.length)
      this.#resize(this.#slots.length / 2)
    return item
  }

  /** The item at `index`, counted from the oldest; `undefined` outside. */
  at(index: number): T | undefined {
    if (index < 0 || index >= this.#length) return undefined
    return this.#slots[(this.#head + index) & (this.#slots.length - 1)]
  }

  /** Removes the first item for which `matches` holds and returns it. O(n). */
  remove(matches: (item: T) => boolean): T | undefined {
    for (let index = 0; index < this.#length; index += 1) {
      const item = this.at(index) as T
      if (!matches(item)) continue
      const mask = this.#slots.length - 1
      for (let next = index; next < this.#length - 1; next += 1) {
        this.#slots[(this.#head + next) & mask] = this.#slots[(this.#head + next + 1) & mask]
      }
      this.#slots[(this.#head + this.#length - 1) & mask] = undefined
      this.#length -= 1
      return item
    }
    return undefined
  }

  clear(): void {
    this.#slots = []
    this.#head = 0
    this.#length = 0
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let index = 0; index < this.#length; index += 1) yield this.at(index) as T
  }

  /** Sizes are powers of two, so that a mask replaces the modulo. */
  #resize(size: number): void {
    const slots = new Array<T | undefined>(size)
    for (let index = 0; index < this.#length; index += 1) slots[index] = this.at(index)
    this.#slots = slots
    this.#head = 0
  }
}
