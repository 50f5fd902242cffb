// The clock of a process that can stand still: its time passes, and nothing in it runs until it thaws.

import type { Clock, TimerHandle } from '../../src/core/clock.ts'

export class FreezableClock implements Clock {
  readonly #world: Clock
  #late: (() => void)[] | undefined

  constructor(world: Clock) {
    this.#world = world
  }

  get frozen(): boolean {
    return this.#late !== undefined
  }

  now(): number {
    return this.#world.now()
  }

  wallNow(): number {
    return this.#world.wallNow()
  }

  setTimeout(callback: () => void, delayMs: number): TimerHandle {
    const timer = { cleared: false, handle: undefined as TimerHandle }
    const ring = () => {
      if (timer.cleared) return
      if (this.#late) this.#late.push(ring)
      else callback()
    }
    timer.handle = this.#world.setTimeout(ring, delayMs)
    return timer
  }

  clearTimeout(handle: TimerHandle): void {
    if (!handle) return
    const timer = handle as { cleared: boolean; handle: TimerHandle }
    timer.cleared = true
    this.#world.clearTimeout(timer.handle)
  }

  freeze(): void {
    this.#late ??= []
  }

  /** What was due meanwhile happens now, in that order, each in a moment of its own. */
  thaw(): void {
    const late = this.#late ?? []
    this.#late = undefined
    for (const ring of late) this.#world.setTimeout(ring, 0)
  }
}
