// Whether the leader still answers: a follower that has heard nothing for a while asks, and takes the lead over when there
// is no answer. It decides from times alone; who hangs itself takes nothing over: its own timers tell.

/** A leader that has been heard of within this time is not asked, in milliseconds. */
export const QUIET_MS = 5000
/** An answer is due within so many rounds of this length. */
export const ROUND_MS = 1000
export const ROUNDS = 2
/** A round that is noticed later than this says that this tab was asleep. Hidden pages have their timers once a second. */
export const LATE_MS = 1500

export class LeaderWatch {
  /** How many rounds the question has been open; `undefined` while there is none. */
  #rounds: number | undefined
  #heardAt: number
  /** When `wake` is due. */
  wakeAt: number

  constructor(now: number) {
    this.#heardAt = now
    // Who comes says hello: that is a question, too.
    this.#rounds = 0
    this.wakeAt = now + ROUND_MS
  }

  /** A sign of life of the leader, or a new one. */
  heard(now: number): void {
    this.#heardAt = now
    this.#rounds = undefined
    this.wakeAt = now + QUIET_MS
  }

  /** Something was sent to the leader: it should be heard of soon. Returns whether to ask. */
  sent(now: number): boolean {
    if (this.#rounds !== undefined || now - this.#heardAt < ROUND_MS) return false
    this.#ask(now)
    return true
  }

  wake(now: number): 'ask' | 'takeOver' | undefined {
    if (now < this.wakeAt) return undefined
    const asleep = now - this.wakeAt > LATE_MS
    if (this.#rounds === undefined || asleep) {
      this.#ask(now)
      return 'ask'
    }
    this.#rounds += 1
    if (this.#rounds < ROUNDS) {
      this.wakeAt = now + ROUND_MS
      return undefined
    }
    // Whether that succeeds or not: next time it is asked again.
    this.#rounds = undefined
    this.wakeAt = now + QUIET_MS
    return 'takeOver'
  }

  #ask(now: number): void {
    this.#rounds = 0
    this.wakeAt = now + ROUND_MS
  }
}
