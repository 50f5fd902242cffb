// Many deadlines on one timer, the one for the earliest of them. Nearly all are cancelled before they are due, so setting and
// cancelling must cost nothing; when the timer fires, all that are pending are looked through.

import type { Clock, TimerHandle } from '../../core/clock.ts'

/** A deadline: set it with `add`, give it back to `cancel`. Whoever has a record of what it limits makes that record one. */
export class Deadline {
  at = 0
  /** Its place among those that are pending: the affair of `Deadlines`. */
  index = -1

  onDue(): void {}
}

/** Sets and cancels deadlines in constant time, with a single timer of the clock. */
export class Deadlines {
  readonly #clock: Clock
  readonly #unref: boolean
  readonly #pending: Deadline[] = []
  #timer: TimerHandle | undefined
  #timerAt = Number.POSITIVE_INFINITY

  constructor(clock: Clock, unref = false) {
    this.#clock = clock
    this.#unref = unref
  }

  /** How many are pending. */
  get size(): number {
    return this.#pending.length
  }

  /** Calls `onDue` in `lengthMs` milliseconds, never early. */
  set(lengthMs: number, onDue: () => void, now: number = this.#clock.now()): Deadline {
    const deadline = Object.assign(new Deadline(), { onDue })
    this.add(deadline, lengthMs, now)
    return deadline
  }

  /** Sets a deadline that is not set. */
  add(deadline: Deadline, lengthMs: number, now: number): void {
    deadline.at = now + lengthMs
    deadline.index = this.#pending.push(deadline) - 1
    if (deadline.at < this.#timerAt) this.#arm(deadline.at, now)
    else if (this.size === 1) this.#hold(true)
  }

  /** Withdraws a deadline; one that is past or withdrawn is ignored. */
  cancel(deadline: Deadline): void {
    if (deadline.index < 0) return
    this.#remove(deadline)
    // The timer stays for the others; with nothing left to wait for, nothing may keep a process alive.
    if (this.size === 0) this.#hold(false)
  }

  #remove(deadline: Deadline): void {
    const last = this.#pending.pop() as Deadline
    if (last !== deadline) {
      this.#pending[deadline.index] = last
      last.index = deadline.index
    }
    deadline.index = -1
  }

  /** An idle timer is kept where it can be told not to hold the process: setting one costs more than all the rest. */
  #hold(wanted: boolean): void {
    if (!this.#clock.hold) {
      if (!wanted) this.#disarm()
    } else if (!this.#unref) {
      this.#clock.hold(this.#timer, wanted)
    }
  }

  #arm(at: number, now: number): void {
    this.#disarm()
    this.#timerAt = at
    this.#timer = this.#clock.setTimeout(() => this.#fire(), Math.max(0, Math.ceil(at - now)), this.#unref)
  }

  #disarm(): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#timerAt = Number.POSITIVE_INFINITY
  }

  #fire(): void {
    this.#disarm()
    const now = this.#clock.now()
    const due = this.#pending.filter(({ at }) => at <= now).sort((one, other) => one.at - other.at)
    for (const deadline of due) this.#remove(deadline)
    const earliest = this.#pending.reduce((least, { at }) => Math.min(least, at), Number.POSITIVE_INFINITY)
    if (this.size > 0) this.#arm(earliest, now)
    for (const deadline of due) deadline.onDue()
  }
}
