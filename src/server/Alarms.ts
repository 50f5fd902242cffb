// One timer for many sleepers: a binary heap of who has to be woken when.

import { type Clock, MAX_TIMER_MS, type TimerHandle } from '../core/clock.ts'

/** Who can be woken. The two fields are the heap's own. */
export interface Sleeper {
  /** When it will be woken; `Infinity` for never. */
  alarmAt: number
  /** Its place in the heap; -1 for none. */
  alarmIndex: number
  /** It is due. It may set its alarm anew. */
  wake(now: number): void
}

export class Alarms {
  readonly #clock: Clock
  readonly #heap: Sleeper[] = []
  #timer: TimerHandle
  #timerAt = Infinity
  readonly #onTimer = () => this.#ring()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Wakes `sleeper` at `at` and no more at the time it had before; `Infinity` for never. */
  set(sleeper: Sleeper, at: number): void {
    if (at === Infinity) {
      this.#remove(sleeper)
      return
    }
    const earlier = at < sleeper.alarmAt
    sleeper.alarmAt = at
    if (sleeper.alarmIndex < 0) {
      sleeper.alarmIndex = this.#heap.length
      this.#heap.push(sleeper)
      this.#rise(sleeper)
    } else if (earlier) this.#rise(sleeper)
    else this.#sink(sleeper)
    // A timer that comes too early finds nobody due and is set anew: cheaper than moving it each time.
    if (at < this.#timerAt) this.#arm(at)
  }

  /** Nobody is woken any more. */
  stop(): void {
    for (const sleeper of this.#heap) {
      sleeper.alarmIndex = -1
      sleeper.alarmAt = Infinity
    }
    this.#heap.length = 0
    this.#disarm()
  }

  #ring(): void {
    this.#timerAt = Infinity
    const now = this.#clock.now()
    for (let first = this.#heap[0]; first && first.alarmAt <= now; first = this.#heap[0]) {
      this.#remove(first)
      first.wake(now)
    }
    const next = this.#heap[0]
    if (next && next.alarmAt < this.#timerAt) this.#arm(next.alarmAt)
  }

  #arm(at: number): void {
    this.#disarm()
    this.#timerAt = at
    const delayMs = Math.max(0, Math.ceil(at - this.#clock.now()))
    this.#timer = this.#clock.setTimeout(this.#onTimer, Math.min(delayMs, MAX_TIMER_MS), true)
  }

  #disarm(): void {
    if (this.#timerAt === Infinity) return
    this.#timerAt = Infinity
    this.#clock.clearTimeout(this.#timer)
  }

  #remove(sleeper: Sleeper): void {
    const index = sleeper.alarmIndex
    if (index < 0) return
    sleeper.alarmIndex = -1
    sleeper.alarmAt = Infinity
    const last = this.#heap.pop() as Sleeper
    if (last === sleeper) return
    this.#put(last, index)
    this.#rise(last)
    this.#sink(last)
  }

  #rise(sleeper: Sleeper): void {
    let index = sleeper.alarmIndex
    while (index > 0) {
      const above = this.#heap[(index - 1) >> 1] as Sleeper
      if (above.alarmAt <= sleeper.alarmAt) break
      this.#put(above, index)
      index = (index - 1) >> 1
    }
    this.#put(sleeper, index)
  }

  #sink(sleeper: Sleeper): void {
    let index = sleeper.alarmIndex
    for (;;) {
      let below = 2 * index + 1
      if (below >= this.#heap.length) break
      const right = this.#heap[below + 1]
      if (right && right.alarmAt < (this.#heap[below] as Sleeper).alarmAt) below += 1
      const child = this.#heap[below] as Sleeper
      if (child.alarmAt >= sleeper.alarmAt) break
      this.#put(child, index)
      index = below
    }
    this.#put(sleeper, index)
  }

  #put(sleeper: Sleeper, index: number): void {
    this.#heap[index] = sleeper
    sleeper.alarmIndex = index
  }
}
