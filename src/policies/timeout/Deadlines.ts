// Many deadlines on one timer. Calls of one client mostly share a few timeouts, and deadlines of the same length fall due
// in the order they were set; so each length keeps a list in that order, and one timer waits for the earliest head.
// (Node's own timers are lists by length for the same reason.)

import type { Clock, TimerHandle } from '../../core/clock.ts'

/** A deadline: set it with `add`, give it back to `cancel`. Whoever has a record of what it limits makes that record one. */
export class Deadline {
  at = 0
  list: DeadlineList | undefined
  previous: Deadline | undefined
  next: Deadline | undefined

  onDue(): void {}
}

interface DeadlineList {
  readonly lengthMs: number
  first: Deadline | undefined
  last: Deadline | undefined
}

/** Sets and cancels deadlines in constant time, with a single timer of the clock pending. */
export class Deadlines {
  readonly #clock: Clock
  readonly #unref: boolean
  readonly #lists = new Map<number, DeadlineList>()
  #timer: TimerHandle | undefined
  #timerAt = Number.POSITIVE_INFINITY
  #size = 0

  constructor(clock: Clock, unref = false) {
    this.#clock = clock
    this.#unref = unref
  }

  /** How many are pending. */
  get size(): number {
    return this.#size
  }

  /** Calls `onDue` in `lengthMs` milliseconds, never early. */
  set(lengthMs: number, onDue: () => void, now: number = this.#clock.now()): Deadline {
    const deadline = Object.assign(new Deadline(), { onDue })
    this.add(deadline, lengthMs, now)
    return deadline
  }

  /** Sets a deadline that is not set. */
  add(deadline: Deadline, lengthMs: number, now: number): void {
    let list = this.#lists.get(lengthMs)
    if (!list) {
      list = { lengthMs, first: undefined, last: undefined }
      this.#lists.set(lengthMs, list)
    }
    deadline.at = now + lengthMs
    deadline.list = list
    deadline.previous = list.last
    if (list.last) list.last.next = deadline
    else list.first = deadline
    list.last = deadline
    this.#size += 1
    if (deadline.at < this.#timerAt) this.#arm(deadline.at, now)
    else if (this.#size === 1) this.#hold(true)
  }

  /** Withdraws a deadline; one that is past or withdrawn is ignored. */
  cancel(deadline: Deadline): void {
    if (!deadline.list) return
    this.#unlink(deadline, deadline.list)
    // The timer stays for the others; with nothing left to wait for, nothing may keep a process alive.
    if (this.#size === 0) this.#hold(false)
  }

  #unlink(deadline: Deadline, list: DeadlineList): void {
    const { previous, next } = deadline
    if (previous) previous.next = next
    else list.first = next
    if (next) next.previous = previous
    else list.last = previous
    // A dead deadline that still pointed at its neighbour would, once it is old, keep it and all behind it alive until
    // the next full collection: the young generation is not asked whether the old one is dead.
    deadline.list = deadline.previous = deadline.next = undefined
    this.#size -= 1
    // Lengths are free for callers to choose: an empty list must not stay behind for each of them.
    if (!list.first && this.#lists.size > 1) this.#lists.delete(list.lengthMs)
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
    this.#timer = undefined
    this.#timerAt = Number.POSITIVE_INFINITY
    const now = this.#clock.now()
    const due: Deadline[] = []
    let earliest = Number.POSITIVE_INFINITY
    for (const list of this.#lists.values()) {
      while (list.first && list.first.at <= now) {
        due.push(list.first)
        this.#unlink(list.first, list)
      }
      earliest = Math.min(earliest, list.first?.at ?? earliest)
    }
    if (earliest < Number.POSITIVE_INFINITY) this.#arm(earliest, now)
    for (const deadline of due) deadline.onDue()
  }
}
