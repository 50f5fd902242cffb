// Gives equal things one small number. A state of the whole world is then a row of numbers, equal states are equal rows
// (so that no two different states are ever taken for one), and a step that was computed once is looked up.

export class Interner<T> {
  readonly #ids = new Map<string, number>()
  readonly #things: T[] = []
  readonly #keyOf: (thing: T) => string

  /** `keyOf`: equal for equal things only. */
  constructor(keyOf: (thing: T) => string) {
    this.#keyOf = keyOf
  }

  /** The number of a thing, which belongs to the interner from now on: nobody may change it. */
  id(thing: T): number {
    const key = this.#keyOf(thing)
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    const id = this.#things.length
    this.#things.push(thing)
    this.#ids.set(key, id)
    return id
  }

  get(id: number): T {
    return this.#things[id] as T
  }

  get size(): number {
    return this.#things.length
  }
}

/** A copy of plain data: objects, arrays and maps all the way down. */
export function copy<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(copy) as T
  if (value instanceof Map) {
    const map = new Map()
    for (const [key, one] of value) map.set(key, copy(one))
    return map as T
  }
  const result: Record<string, unknown> = {}
  for (const key in value) result[key] = copy((value as Record<string, unknown>)[key])
  return result as T
}
