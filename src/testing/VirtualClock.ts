// Time that stands still until a test turns it.

import type { Clock, TimerHandle } from '../core/clock.ts'

interface Timer {
  readonly at: number
  readonly order: number
  readonly callback: () => void
}

/** A `Clock` whose time passes only in `advance`. Timers due at the same instant fire in the order they were set. */
export class VirtualClock implements Clock {
  #now: number
  #wallOffset: number
  #order = 0
  readonly #timers = new Set<Timer>()

  /** @param start the first value of `now()`; @param wallStart the first value of `wallNow()` (default: 2030-01-01) */
  constructor(start = 0, wallStart: number = Date.UTC(2030, 0, 1)) {
    this.#now = start
    this.#wallOffset = wallStart - start
  }

  now(): number {
    return this.#now
  }

  wallNow(): number {
    return this.#now + this.#wallOffset
  }

  setTimeout(callback: () => void, delayMs: number): TimerHandle {
    const timer: Timer = { at: this.#now + Math.max(0, delayMs), order: this.#order++, callback }
    this.#timers.add(timer)
    return timer
  }

  clearTimeout(handle: TimerHandle): void {
    this.#timers.delete(handle as Timer)
  }

  /** How many timers are pending: 0 shows that nothing was left behind. */
  get pending(): number {
    return this.#timers.size
  }

  /** When the next timer is due, on the scale of `now()`; `undefined` when none is. */
  get nextAt(): number | undefined {
    return this.#next()?.at
  }

  /** Moves the wall clock alone, as a user or NTP would. */
  jumpWall(byMs: number): void {
    this.#wallOffset += byMs
  }

  /** Lets `ms` pass while nothing runs, as a sleeping machine would: timers fire late, at the next `advance`. */
  sleep(ms: number): void {
    this.#now += ms
  }

  /** Lets `ms` pass; every timer that falls due fires at its time, and promises settle in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    await settle()
    for (;;) {
      const timer = this.#next()
      if (!timer || timer.at > end) break
      this.#fire(timer)
      await settle()
    }
    this.#now = Math.max(this.#now, end)
    await settle()
  }

  /** Like `advance`, without letting promises settle: for code that has none. */
  advanceSync(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      const timer = this.#next()
      if (!timer || timer.at > end) break
      this.#fire(timer)
    }
    this.#now = Math.max(this.#now, end)
  }

  #next(): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) {
      if (!next || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) next = timer
    }
    return next
  }

  #fire(timer: Timer): void {
    this.#timers.delete(timer)
    this.#now = Math.max(this.#now, timer.at)
    timer.callback()
  }
}

/** Lets every promise that is ready run on: a macrotask comes after all microtasks. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => unknown }
    if (setImmediate) {
      setImmediate(resolve)
      return
    }
    const channel = new MessageChannel()
    channel.port1.onmessage = () => {
      channel.port1.close()
      resolve()
    }
    channel.port2.postMessage(undefined)
  })
}
