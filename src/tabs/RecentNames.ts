// The latest of many names: enough to tell what has just been from what has never been.

export class RecentNames {
  readonly #most: number
  readonly #names = new Set<string>()

  constructor(most: number) {
    this.#most = most
  }

  add(name: string): void {
    this.#names.add(name)
    if (this.#names.size <= this.#most) return
    // In one go: a Set is slow to give away its first, when many before it are gone.
    let excess = this.#names.size - Math.floor(this.#most / 2)
    for (const oldest of this.#names) {
      if (excess <= 0) return
      this.#names.delete(oldest)
      excess -= 1
    }
  }

  has(name: string): boolean {
    return this.#names.has(name)
  }
}
