// How many sessions each address has, where nobody authenticates.

export class AddressQuota {
  readonly #max: number
  readonly #counts = new Map<string, number>()

  /** @param max sessions of one address */
  constructor(max: number) {
    this.#max = max
  }

  hasRoom(address: string): boolean {
    return (this.#counts.get(address) ?? 0) < this.#max
  }

  add(address: string): void {
    this.#counts.set(address, (this.#counts.get(address) ?? 0) + 1)
  }

  remove(address: string): void {
    const left = (this.#counts.get(address) ?? 1) - 1
    if (left > 0) this.#counts.set(address, left)
    else this.#counts.delete(address)
  }
}
