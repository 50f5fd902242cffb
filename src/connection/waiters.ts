// Who waits for something of a connection to come true: looked at after every step, and told when it never will.

import { unheard } from '../session/receipts.ts'

interface Waiter {
  readonly isMet: () => boolean
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class Waiters {
  #all: Waiter[] = []

  /** Resolves when `isMet` does, or rejects at the next `end`. Nobody has to hear a rejection. */
  when(isMet: () => boolean): Promise<void> {
    if (isMet()) return Promise.resolve()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#all.push({ isMet, resolve, reject })
    return unheard(promise)
  }

  /** Something may have come true. */
  look(): void {
    if (this.#all.length === 0) return
    this.#all = this.#all.filter(({ isMet, resolve }) => {
      const met = isMet()
      if (met) resolve()
      return !met
    })
  }

  /** What is not true by now will not be. */
  end(error: Error): void {
    this.look()
    for (const { reject } of this.#all.splice(0)) reject(error)
  }
}
