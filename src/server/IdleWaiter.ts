// Who waits for something to come to rest, and looks again, once a turn, whenever it may have.

export class IdleWaiter {
  #looks: (() => void)[] = []
  #planned = false

  /** Resolves when `test` holds. */
  when(test: () => boolean): { promise: Promise<void>; stop: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>()
    const look = () => {
      if (!test()) return
      stop()
      resolve()
    }
    const stop = () => {
      this.#looks = this.#looks.filter((one) => one !== look)
    }
    this.#looks.push(look)
    look()
    return { promise, stop }
  }

  /** Something may have come to rest. */
  look(): void {
    if (this.#looks.length === 0 || this.#planned) return
    this.#planned = true
    setImmediate(() => {
      this.#planned = false
      for (const look of this.#looks) look()
    })
  }
}
