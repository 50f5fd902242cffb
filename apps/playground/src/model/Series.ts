// The latest values of something measured.

export class Series {
  readonly #size: number
  #values: number[] = []

  constructor(size: number) {
    this.#size = size
  }

  add(value: number): void {
    this.#values.push(value)
    if (this.#values.length > this.#size) this.#values.shift()
  }

  get values(): readonly number[] {
    return this.#values
  }

  get last(): number | undefined {
    return this.#values.at(-1)
  }

  get median(): number | undefined {
    const sorted = this.#values.toSorted((one, other) => one - other)
    return sorted[Math.floor(sorted.length / 2)]
  }
}
