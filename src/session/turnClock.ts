// The time of a turn. Frames come many in one turn, for all of which it is the same time: reading a clock costs more than
// taking a message.

import type { Clock } from '../core/clock.ts'

export class TurnClock {
  readonly #clock: Clock
  /** In whole milliseconds: fractions would make a heap object of every time that is handed on. */
  #at = 0
  #known = false
  readonly #forget = () => {
    this.#known = false
  }

  constructor(clock: Clock) {
    this.#clock = clock
  }

  now(): number {
    if (this.#known) return this.#at
    this.#known = true
    this.#at = Math.floor(this.#clock.now())
    queueMicrotask(this.#forget)
    return this.#at
  }
}
