// What the servers behind addresses have been found to speak, for `session: 'auto'`: so that the next connection, or the next
// start of the app, need not find out anew.

/** What a server speaks. */
export type Spoken = 'session' | 'plain'

/** What the option `protocolMemory` has to be; a Map will do. Places are addresses without their query. */
export interface ProtocolMemory {
  get(place: string): Spoken | undefined
  set(place: string, spoken: Spoken): unknown
}

/** So many places are remembered, unless the app passes a memory of its own. */
export const REMEMBERED_PLACES = 1000

/** A memory that forgets the place which it was told of longest ago. */
export class BoundedMemory implements ProtocolMemory {
  readonly #limit: number
  readonly #places = new Map<string, Spoken>()

  constructor(limit = REMEMBERED_PLACES) {
    this.#limit = limit
  }

  get(place: string): Spoken | undefined {
    return this.#places.get(place)
  }

  set(place: string, spoken: Spoken): void {
    this.#places.delete(place)
    this.#places.set(place, spoken)
    if (this.#places.size > this.#limit) {
      const [oldest] = this.#places.keys()
      this.#places.delete(oldest as string)
    }
  }
}

/** The memory of this process or page. */
export const sharedMemory: ProtocolMemory = new BoundedMemory()
