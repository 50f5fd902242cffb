// How many connections there may be: in all, and of one address.

import type { Refusal } from './refusals.ts'

/** Why a connection has no place. */
export type SlotRefusal = 'too many connections' | 'too many connections of this address'

/** The same for the log, with the option that would have let it in. */
export function fullRefusal(reason: SlotRefusal): Refusal {
  const option = reason === 'too many connections' ? 'maxConnections' : 'maxConnectionsPerAddress'
  return { reason, option }
}

export class ConnectionSlots {
  readonly #max: number
  readonly #maxPerAddress: number
  readonly #ofAddress = new Map<string, number>()
  #taken = 0

  constructor(max: number, maxPerAddress: number) {
    this.#max = max
    this.#maxPerAddress = maxPerAddress
  }

  /** Takes a place, or says why there is none. Who got one gives it back with `leave`. */
  enter(address: string): SlotRefusal | undefined {
    const ofAddress = this.#ofAddress.get(address) ?? 0
    if (this.#taken >= this.#max) return 'too many connections'
    if (ofAddress >= this.#maxPerAddress) return 'too many connections of this address'
    this.#taken += 1
    this.#ofAddress.set(address, ofAddress + 1)
    return undefined
  }

  leave(address: string): void {
    const ofAddress = this.#ofAddress.get(address)
    if (ofAddress === undefined) return
    this.#taken -= 1
    if (ofAddress === 1) this.#ofAddress.delete(address)
    else this.#ofAddress.set(address, ofAddress - 1)
  }
}
