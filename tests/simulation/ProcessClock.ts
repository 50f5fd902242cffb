// The clock of one process in a simulated world: when the process dies, its timers die with it.

import type { Clock, TimerHandle } from '../../src/core/clock.ts'

export class ProcessClock implements Clock {
  readonly #world: Clock
  #alive = true

  constructor(world: Clock) {
    this.#world = world
  }

  get alive(): boolean {
    return this.#alive
  }

  now(): number {
    return this.#world.now()
  }

  wallNow(): number {
    return this.#world.wallNow()
  }

  setTimeout(callback: () => void, delayMs: number): TimerHandle {
    return this.#world.setTimeout(() => {
      if (this.#alive) callback()
    }, delayMs)
  }

  clearTimeout(handle: TimerHandle): void {
    this.#world.clearTimeout(handle)
  }

  die(): void {
    this.#alive = false
  }
}
